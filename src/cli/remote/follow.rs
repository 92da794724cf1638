//! `--follow` and `logs -f`: lines of all nodes as they come, until the instance has ended. Outlives the loss of an
//! HTTP server; Ctrl-C stops watching and nothing else.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::api::{AttemptView, EventView, ExitCode, InstanceView, LogLine, LogPage, NodeView};
use crate::cli::console::{Console, Failure, Outcome};
use crate::say;

use super::Remote;
use super::client::{Ask, Client};
use super::sse::SseStream;

/// A stream that ends early is opened again after this.
const REOPEN: Duration = Duration::from_millis(300);
/// Logs followed at once; those of further attempts come when one of these ends.
const STREAMS_MAX: usize = 32;
/// How long an instance may look unchanged before it is looked at again without an event.
const LOOK: Duration = Duration::from_secs(10);

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOf {
    pub instance: u64,
    pub node: String,
    pub attempt: u32,
    pub generation: u32,
}

/// What of a log.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub tail: Option<u32>,
    pub grep: Option<String>,
}

impl LogOf {
    fn ask<'a>(&'a self, number: &'a str, attempt: &'a str) -> Ask<'a> {
        Ask::new(["instances", number, "nodes", &self.node, "attempts", attempt, "log"])
            .with("generation", self.generation)
    }
}

/// How lines are printed: with the node before each, when there are several.
pub struct Printer<'a> {
    pub console: &'a Console,
    pub prefix: Option<usize>,
}

impl Printer<'_> {
    pub fn line(&self, node: &str, line: &LogLine) -> Result<(), Failure> {
        use unicode_width::UnicodeWidthStr;
        if self.console.is_json() {
            let value = serde_json::json!({"node": node, "n": line.n, "time": line.time, "stream": line.stream, "text": line.text});
            return self.console.data(&value.to_string());
        }
        // Text of a task is printed as it is: it may colour itself.
        match self.prefix {
            None => self.console.raw(format!("{}\n", line.text).as_bytes()),
            Some(width) => {
                let pad = " ".repeat(width.saturating_sub(node.width()));
                self.console.raw(format!("{node}{pad} | {}\n", line.text).as_bytes())
            }
        }
    }
}

/// Runs until it is done, or until Ctrl-C: then exit 9 and how to come back.
pub async fn detachable(number: u64, console: &Console, work: impl Future<Output = Outcome>) -> Outcome {
    let work = std::pin::pin!(work);
    let interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    match select(work, interrupt).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            let text = console.word("detached; it goes on. To come back:", "已脱离, 实例继续运行. 重新跟踪:");
            eprintln!("\n{text} ractorflow logs -f {number}");
            Ok(ExitCode::Detached)
        }
    }
}

/// Follows every attempt of the instance, and ends with how the instance ended. What is new is learned from the event
/// stream: the instance is not looked at again for each of its nodes.
pub async fn instance(
    remote: &Remote<'_>,
    number: u64,
    min_seq: Option<u64>,
    until: Option<Instant>,
) -> Result<InstanceView, Failure> {
    let client = &remote.client;
    let (mut view, seq) = begun(client, &number.to_string(), min_seq).await?;
    let printer = Printer { console: remote.console, prefix: prefix(&view) };
    let mut listener = Listener { client, number, seq, stream: None };
    let mut logs_taken = Taken::default();
    logs_taken.add(written(&view));
    let mut streams = FuturesUnordered::new();
    loop {
        let news = loop {
            while streams.len() < STREAMS_MAX
                && let Some(log) = logs_taken.waiting.pop_front()
            {
                streams.push(attempt(client, log, Part::default(), &printer));
            }
            if view.state.is_terminal() {
                // No attempt begins any more; the rest of the lines is on its way.
                match streams.next().await {
                    Some(ended) => ended?,
                    None => return Ok(view),
                }
                continue;
            }
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()).min(LOOK));
            tokio::select! {
                news = listener.next() => break news,
                Some(ended) = streams.next(), if !streams.is_empty() => ended?,
                () = tokio::time::sleep(left) => break News::Look,
            }
        };
        match news {
            News::Begun(log) => logs_taken.add([log]),
            News::Look if !has_ended(client, number).await? => {}
            // An attempt of which no beginning was told has a log too.
            News::Look | News::Reset => {
                (view, listener.seq) = begun(client, &number.to_string(), None).await?;
                listener.stream = None;
                logs_taken.add(written(&view));
            }
        }
        if until.is_some_and(|until| Instant::now() >= until) && !view.state.is_terminal() {
            return Err(Failure::new(
                ExitCode::TimedOutWaiting,
                say!("instance #{} has not ended in time; it goes on", number),
            )
            .hint(say!("`ractorflow logs -f {}`", number)));
        }
    }
}

/// The logs that are followed or were, and those that wait for a stream.
#[derive(Default)]
struct Taken {
    known: BTreeSet<LogOf>,
    waiting: VecDeque<LogOf>,
}

impl Taken {
    fn add(&mut self, logs: impl IntoIterator<Item = LogOf>) {
        for log in logs {
            if self.known.insert(log.clone()) {
                self.waiting.push_back(log);
            }
        }
    }
}

/// What the event stream says of an instance.
enum News {
    Begun(LogOf),
    /// It may have ended.
    Look,
    /// Some events are lost: everything has to be looked at again.
    Reset,
}

/// The event stream of one instance, opened again where it broke.
struct Listener<'a> {
    client: &'a Client,
    number: u64,
    /// The last event heard.
    seq: u64,
    stream: Option<SseStream>,
}

impl Listener<'_> {
    /// The next event that begins an attempt or ends the instance. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> News {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => {
                    let ask = Ask::new(["events"]).with("instance", self.number);
                    match self.client.stream(&ask, Some(self.seq)).await {
                        Ok(stream) => none.insert(stream),
                        Err(_) => {
                            tokio::time::sleep(REOPEN).await;
                            continue;
                        }
                    }
                }
            };
            let Ok(Some(event)) = stream.next().await else {
                self.stream = None;
                tokio::time::sleep(REOPEN).await;
                continue;
            };
            self.seq = event.id.unwrap_or(self.seq);
            if event.name == "reset" {
                return News::Reset;
            }
            // An event of a later version says nothing to this one.
            let Ok(event) = serde_json::from_str::<EventView>(&event.data) else { continue };
            if event.instance_state.is_some_and(|state| state.is_terminal()) {
                return News::Look;
            }
            if let ("attempt_started", Some(node), Some(attempt)) = (event.kind.as_str(), event.node, event.attempt) {
                let generation = event.generation.unwrap_or(1);
                return News::Begun(LogOf { instance: self.number, node, attempt, generation });
            }
        }
    }
}

async fn has_ended(client: &Client, number: u64) -> Result<bool, Failure> {
    let number = number.to_string();
    let view: InstanceView = client.get(&Ask::new(["instances", &number]).with("node_limit", 1)).await?;
    Ok(view.state.is_terminal())
}

/// An instance with the nodes of which attempts have begun, and the number of the event that it includes.
pub async fn begun(client: &Client, number: &str, min_seq: Option<u64>) -> Result<(InstanceView, u64), Failure> {
    let first = Ask::new(["instances", number]).maybe("min_seq", min_seq);
    let (mut view, seq): (InstanceView, _) = client.get_with_seq(&first).await?;
    if view.nodes_next.take().is_none() {
        return Ok((view, seq));
    }
    // The names of the first nodes say how wide the column of names is; of the others only those with a log matter.
    let names = std::mem::take(&mut view.nodes);
    let number = view.number.to_string();
    let mut cursor: Option<String> = None;
    let mut found: Vec<NodeView> = Vec::new();
    loop {
        let ask = Ask::new(["instances", &number]).with("generation", view.generation).with("node_begun", true);
        let page: InstanceView = client.get(&ask.maybe("node_cursor", cursor.as_deref())).await?;
        found.extend(page.nodes);
        cursor = page.nodes_next;
        if cursor.is_none() {
            break;
        }
    }
    let known: BTreeSet<u32> = found.iter().map(|node| node.node_index).collect();
    let is_new = |node: &NodeView| !known.contains(&node.node_index);
    let mut others: Vec<NodeView> = names.into_iter().filter(is_new).collect();
    others.iter_mut().for_each(|node| node.attempts.clear());
    found.extend(others);
    view.nodes = found;
    Ok((view, seq))
}

/// Attempts that have written something, or may still.
fn written(view: &InstanceView) -> Vec<LogOf> {
    select_logs(view, |attempt| attempt.has_log)
}

/// Attempts that have begun, in the order of the definition.
pub fn logs(view: &InstanceView) -> Vec<LogOf> {
    select_logs(view, |attempt| attempt.started.is_some() || attempt.has_log)
}

fn select_logs(view: &InstanceView, is_wanted: impl Fn(&AttemptView) -> bool) -> Vec<LogOf> {
    let of = |node: &str, attempt: &AttemptView| LogOf {
        instance: view.number,
        node: node.to_owned(),
        attempt: attempt.number,
        generation: view.generation,
    };
    view.nodes
        .iter()
        .flat_map(|node| node.attempts.iter().map(move |attempt| (node, attempt)))
        .filter(|(node, attempt)| !node.is_kept && is_wanted(attempt))
        .map(|(node, attempt)| of(&node.name, attempt))
        .collect()
}

/// Width of the longest name, when lines of several nodes can come.
pub fn prefix(view: &InstanceView) -> Option<usize> {
    use unicode_width::UnicodeWidthStr;
    let is_control = |kind: &str| ["start", "end", "fork", "join", "kill"].contains(&kind);
    let names: Vec<&str> =
        view.nodes.iter().filter(|node| !is_control(&node.kind)).map(|node| node.name.as_str()).collect();
    if names.len() < 2 { None } else { names.iter().map(|name| name.width()).max() }
}

/// Follows one attempt to the end of its log.
pub async fn attempt(client: &Client, log: LogOf, part: Part, printer: &Printer<'_>) -> Result<(), Failure> {
    let (number, attempt) = (log.instance.to_string(), log.attempt.to_string());
    let mut next = None;
    let mut failures = 0;
    loop {
        let ask = log.ask(&number, &attempt).with("follow", true).maybe("grep", part.grep.as_deref());
        let ask = if next.is_none() { ask.maybe("tail", part.tail) } else { ask };
        match client.stream(&ask, next).await {
            Ok(mut stream) => {
                while let Some(event) = stream.next().await? {
                    failures = 0;
                    next = event.id.or(next);
                    match event.name.as_str() {
                        "end" => return Ok(()),
                        "line" => {
                            let line: LogLine = serde_json::from_str(&event.data).map_err(|error| {
                                Failure::other(say!("a line of the log cannot be read: {}", error.to_string()))
                            })?;
                            printer.line(&log.node, &line)?;
                        }
                        _ => {}
                    }
                }
            }
            // It has begun, but its log has not arrived at a master yet.
            Err(failure) if failure.exit == ExitCode::NotFound && failures < 10 => {}
            Err(failure) if failure.exit == ExitCode::NotFound => return Ok(()),
            Err(failure) if failures >= 60 => return Err(failure),
            Err(_) => {}
        }
        failures += 1;
        tokio::time::sleep(REOPEN).await;
    }
}

/// Prints what there is of one attempt's log.
pub async fn print(client: &Client, log: &LogOf, part: &Part, printer: &Printer<'_>) -> Result<(), Failure> {
    let (number, attempt) = (log.instance.to_string(), log.attempt.to_string());
    let mut from = None;
    loop {
        let ask =
            log.ask(&number, &attempt).with("limit", crate::api::log::LINES_MAX).maybe("grep", part.grep.as_deref());
        let ask = match from {
            None => ask.maybe("tail", part.tail),
            Some(from) => ask.with("from", from),
        };
        let page: LogPage = client.get(&ask).await?;
        page.lines.iter().try_for_each(|line| printer.line(&log.node, line))?;
        // The next line to ask for must come nearer to the end, or this would not.
        if page.next > page.total || Some(page.next) == from || (page.lines.is_empty() && part.grep.is_none()) {
            return Ok(());
        }
        from = Some(page.next);
    }
}

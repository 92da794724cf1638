//! `--follow` and `logs -f`: lines of all nodes as they come, until the instance has ended. Outlives the loss of an
//! HTTP server; Ctrl-C stops watching and nothing else.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::api::{AttemptView, EventView, ExitCode, InstanceView, LogLine, LogPage};
use crate::cli::console::{Console, Failure, Outcome};
use crate::model::state::InstanceWord;

use super::Remote;
use super::client::{Ask, Client};

/// A stream that ends early is opened again after this.
const REOPEN: Duration = Duration::from_millis(300);
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

/// Follows every attempt of the instance, and ends with how the instance ended.
pub async fn instance(
    remote: &Remote<'_>,
    number: u64,
    min_seq: Option<u64>,
    until: Option<Instant>,
) -> Result<InstanceView, Failure> {
    let client = &remote.client;
    let text = number.to_string();
    let mut view: InstanceView = client.get(&Ask::new(["instances", &text]).maybe("min_seq", min_seq)).await?;
    let printer = Printer { console: remote.console, prefix: prefix(&view) };
    let mut streams = FuturesUnordered::new();
    let mut taken = BTreeSet::new();
    loop {
        for log in logs(&view).into_iter().filter(|log| !taken.contains(log)).collect::<Vec<_>>() {
            taken.insert(log.clone());
            streams.push(attempt(client, log, Part::default(), &printer));
        }
        if view.state.is_terminal() {
            // No attempt begins any more; the rest of the lines is on its way.
            while let Some(ended) = streams.next().await {
                ended?;
            }
            return Ok(view);
        }
        let before = (view.state, logs(&view));
        let changed = std::pin::pin!(next_change(client, number, before));
        let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()).min(LOOK));
        let wait = std::pin::pin!(tokio::time::sleep(left));
        let mut awaited = select(changed, wait);
        loop {
            if streams.is_empty() {
                awaited.await;
                break;
            }
            match select(awaited, streams.next()).await {
                Either::Left(_) => break,
                Either::Right((ended, rest)) => {
                    ended.transpose()?;
                    awaited = rest;
                }
            }
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(Failure::new(
                ExitCode::TimedOutWaiting,
                format!("instance #{number} has not ended in time; it goes on"),
            )
            .hint(format!("ractorflow logs -f {number}")));
        }
        view = client.get(&Ask::new(["instances", &text])).await?;
    }
}

/// Attempts that have begun, in the order of the definition.
pub fn logs(view: &InstanceView) -> Vec<LogOf> {
    let of = |node: &str, attempt: &AttemptView| LogOf {
        instance: view.number,
        node: node.to_owned(),
        attempt: attempt.number,
        generation: view.generation,
    };
    view.nodes
        .iter()
        .flat_map(|node| node.attempts.iter().map(move |attempt| (node, attempt)))
        .filter(|(node, attempt)| !node.is_kept && (attempt.started.is_some() || attempt.has_log))
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

/// Returns at the next event that may begin an attempt or end the instance.
async fn next_change(client: &Client, number: u64, before: Seen) {
    let mut seen = None;
    loop {
        let ask = Ask::new(["events"]).with("instance", number);
        let opened = client.stream(&ask, seen).await;
        if let Ok(mut stream) = opened {
            // What happened between the look and the opening of the stream would be missed: look once more.
            if seen.is_none() && has_changed(client, number, &before).await {
                return;
            }
            while let Ok(Some(event)) = stream.next().await {
                seen = event.id.or(seen);
                let Ok(event) = serde_json::from_str::<EventView>(&event.data) else { return };
                if event.attempt.is_some() || event.node_state.is_some() || event.instance_state.is_some() {
                    return;
                }
            }
        }
        tokio::time::sleep(REOPEN).await;
    }
}

/// What of an instance decides whether there is something new to follow.
type Seen = (InstanceWord, Vec<LogOf>);

async fn has_changed(client: &Client, number: u64, before: &Seen) -> bool {
    let now: Result<InstanceView, Failure> = client.get(&Ask::new(["instances", &number.to_string()])).await;
    now.is_ok_and(|now| (now.state, logs(&now)) != *before)
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
                                Failure::other(format!("a line of the log cannot be read: {error}"))
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

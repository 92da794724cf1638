//! `/i/{instance}`: how far, what is slow, why does a node wait, what does it print?

use askama::Template;
use axum::extract::{Path, State};

use crate::api::{
    ApiError, ErrorCode, InstanceRef, InstanceView, LogPage, LogQuery, LogStart, NodeView, Query, WhyView,
};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::instance_ref;
use crate::http::state::App;
use crate::model::state::{AttemptWord, NodeWord};

use super::format::{duration, url};
use super::graph::{Card, Line, LineStyle, NODES_MAX, draw};
use super::markup::{self, Markup};
use super::words::fill;
use super::{Frame, Page, ansi, charts, gantt, look, render, same_page};

/// Rows of the table of nodes on one page.
const NODE_ROWS: usize = 300;
/// Lines of the log in the page; the script or the links fetch more.
const LOG_LINES: u32 = 200;

#[derive(Template)]
#[template(path = "instance.html")]
struct InstancePage {
    f: Frame,
    progress: Markup,
    gantt: Markup,
    gantt_legend: Vec<(Markup, &'static str)>,
    graph: Option<Markup>,
    started_by: String,
    selected: Option<NodeView>,
    attempts: Vec<(AttemptRow, bool)>,
    why: Option<(String, Option<Markup>, WhyView)>,
    log: Option<Log>,
    rows: Vec<NodeRow>,
    row_pages: Option<(usize, usize, Option<String>, Option<String>)>,
    counts: Vec<(Markup, u32)>,
    running_attempts: usize,
    rerun_failed: usize,
    action_nodes: Vec<String>,
    first_problem: Option<String>,
    /// Verbs whose dialog asks for a reason alone.
    verbs: [(&'static str, &'static str); 2],
    view: InstanceView,
}

struct AttemptRow {
    number: u32,
    badge: Markup,
    worker: String,
    started: String,
    ran: String,
    end: String,
    message: String,
    href: String,
}

struct NodeRow {
    badge: Markup,
    node: NodeView,
    attempt: String,
    worker: String,
    waited: String,
    queued: String,
    ran: String,
    is_selected: bool,
    href: String,
}

struct Log {
    node: String,
    attempt: u32,
    attempts: Vec<(u32, &'static str, char, bool, String)>,
    lines: Vec<LogRow>,
    total: u64,
    is_ended: bool,
    is_cut: bool,
    grep: String,
    /// Followed by the script from here.
    follow: String,
    download: String,
    earlier: Option<String>,
    problem: Option<String>,
}

struct LogRow {
    n: u64,
    time: String,
    class: &'static str,
    html: Markup,
}

pub async fn page(State(app): State<App>, caller: Caller, Path(instance): Path<String>) -> Page {
    let wanted = instance_ref(&instance)?;
    let generation = caller.number_32("generation")?;
    let seen = look(&app, Query::Instance { instance: wanted.clone(), generation }).await?;
    let number = match (&seen.answer.reply, wanted) {
        (_, InstanceRef::Number(number)) => number,
        (crate::api::Reply::Instance(view), _) => view.number,
        (other, _) => return Err(crate::http::state::unexpected(other).into()),
    };
    let topics = format!("&instance={number}");
    let mut f = Frame::new(&app, &caller, "instances", format!("#{number}"), &seen, &topics);
    let answer = seen.answer;
    let view = *expect_reply!(answer, Instance)?;
    f.title = format!("{} #{number}", view.workflow);
    let selected = select(&view, caller.parameter("node"))?.cloned();
    let selected_name = selected.as_ref().map(|node| node.name.as_str());
    let log = match &selected {
        Some(node) if !node.attempts.is_empty() => Some(log_of(&app, &caller, &view, node, &f).await?),
        Some(_) | None => None,
    };
    let (cards, lines) = picture(&view, selected_name, "");
    let label = fill(f.w.graph_of, &[&f.title]);
    let graph = (cards.len() <= NODES_MAX).then(|| draw(&cards, &lines, &label, f.lang));
    let summary_share = match (view.duration_ms, view.usual_ms) {
        (Some(so_far), Some(usual)) if usual > 0 && !view.state.is_terminal() => Some(so_far as f64 / usual as f64),
        _ => None,
    };
    let first_row = usize::try_from(caller.number("from_node")?.unwrap_or(0)).unwrap_or(0);
    let page = InstancePage {
        progress: charts::progress(&view.progress, view.nodes_total, summary_share, f.w, f.lang),
        gantt: gantt::draw(&view, &f.clock, selected_name, f.w, f.lang),
        gantt_legend: gantt_legend(&f),
        graph,
        started_by: started_by(&view, &f),
        attempts: selected.as_ref().map(|node| attempt_rows(node, log.as_ref(), &f)).unwrap_or_default(),
        why: why_of(&view, selected.as_ref(), &f),
        rows: node_rows(&view, selected_name, first_row, &f),
        row_pages: row_pages(&view, first_row, &caller),
        counts: view.progress.iter().map(|count| (markup::node(count.state).chip(f.lang), count.count)).collect(),
        running_attempts: running_attempts(&view),
        rerun_failed: view.nodes.iter().filter(|node| node.state != NodeWord::Succeeded).count(),
        action_nodes: view.nodes.iter().filter(|node| !is_control(node)).map(|node| node.name.clone()).collect(),
        first_problem: view.nodes.iter().find(|node| is_problem(node)).map(|node| node.name.clone()),
        verbs: [("pause", f.w.pause), ("resume", f.w.resume)],
        selected,
        log,
        f,
        view,
    };
    render(&page)
}

fn is_control(node: &NodeView) -> bool {
    matches!(node.kind.as_str(), "start" | "end" | "fork" | "join" | "kill")
}

fn is_problem(node: &NodeView) -> bool {
    matches!(node.state, NodeWord::Failed | NodeWord::TimedOut | NodeWord::Lost | NodeWord::Retrying)
}

fn running_attempts(view: &InstanceView) -> usize {
    let attempts = view.nodes.iter().flat_map(|node| &node.attempts);
    attempts.filter(|attempt| matches!(attempt.state, AttemptWord::Running | AttemptWord::Dispatched)).count()
}

/// The node asked for; else what one would look at first: a failure, what runs, what ended last.
fn select<'a>(view: &'a InstanceView, asked: Option<&str>) -> Result<Option<&'a NodeView>, ApiError> {
    if let Some(name) = asked {
        let found = view.nodes.iter().find(|node| node.name == name);
        return found.map(Some).ok_or_else(|| {
            ApiError::new(ErrorCode::NodeNotFound, format!("instance #{} has no node \"{name}\"", view.number))
        });
    }
    let with_attempts = || view.nodes.iter().filter(|node| !node.attempts.is_empty());
    Ok(with_attempts()
        .find(|node| is_problem(node))
        .or_else(|| with_attempts().find(|node| node.state == NodeWord::Running))
        .or_else(|| with_attempts().max_by_key(|node| node.finished)))
}

/// The graph of an instance; links open the node's log, on the page `base` (this one when empty).
pub fn picture(view: &InstanceView, selected: Option<&str>, base: &str) -> (Vec<Card>, Vec<Line>) {
    let cards = view.nodes.iter().map(|node| Card {
        name: node.name.clone(),
        kind: node.kind.clone(),
        mark: Some(markup::node(node.state)),
        time: node.duration_ms.filter(|_| !is_control(node)).map(duration).unwrap_or_default(),
        attempt: if node.attempts.len() > 1 {
            format!("{}/{}", node.attempts.len(), node.attempts_max)
        } else {
            String::new()
        },
        href: format!("{base}?node={}#log", url(&node.name)),
        is_selected: selected == Some(node.name.as_str()),
        is_critical: node.is_critical,
    });
    let index: std::collections::HashMap<&str, usize> =
        view.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let lines = view.edges.iter().filter_map(|edge| {
        let style = match edge.state.as_deref() {
            Some("live") => LineStyle::Done,
            Some("dead") => LineStyle::Dead,
            Some(_) | None => LineStyle::Plain,
        };
        let (from, to) = (*index.get(edge.from.as_str())?, *index.get(edge.to.as_str())?);
        Some(Line { from, to, style, is_error: edge.kind == "error" })
    });
    (cards.collect(), lines.collect())
}

fn gantt_legend(f: &Frame) -> Vec<(Markup, &'static str)> {
    [
        (NodeWord::Waiting, f.w.gantt_waited),
        (NodeWord::Queued, f.w.gantt_queued),
        (NodeWord::Running, f.w.gantt_ran),
        (NodeWord::Retrying, f.w.gantt_retry),
    ]
    .map(|(state, text)| (markup::node(state).chip(f.lang), text))
    .to_vec()
}

fn started_by(view: &InstanceView, f: &Frame) -> String {
    let by = view.by.as_deref().unwrap_or_default();
    match view.kind.as_str() {
        "scheduled" => fill(f.w.kind_scheduled, &[&view.trigger.as_deref().unwrap_or_default()]),
        "triggered" => fill(f.w.kind_triggered, &[&by]),
        "run" => fill(f.w.kind_run, &[&by]),
        "backfill" => f.w.kind_backfill.to_owned(),
        "sub" => f.w.kind_sub.to_owned(),
        other => other.to_owned(),
    }
}

/// Why the chosen node, else the instance, else the first held node does not run.
fn why_of(view: &InstanceView, selected: Option<&NodeView>, f: &Frame) -> Option<(String, Option<Markup>, WhyView)> {
    let of_node = |node: &NodeView| {
        let why = node.why.clone()?;
        Some((fill(f.w.why_not_running, &[&node.name]), Some(markup::node(node.state).chip(f.lang)), why))
    };
    selected
        .and_then(of_node)
        .or_else(|| view.why.clone().map(|why| (f.w.why_instance.to_owned(), None, why)))
        .or_else(|| view.nodes.iter().filter(|node| node.state == NodeWord::Queued).find_map(of_node))
}

fn attempt_rows(node: &NodeView, log: Option<&Log>, f: &Frame) -> Vec<(AttemptRow, bool)> {
    let rows = node.attempts.iter().map(|attempt| {
        let end = match (attempt.exit_code, attempt.signal) {
            (Some(code), _) => fill(f.w.exit_code, &[&code]),
            (None, Some(signal)) => fill(f.w.signal, &[&signal]),
            (None, None) => String::new(),
        };
        let row = AttemptRow {
            number: attempt.number,
            badge: markup::attempt(attempt.state).badge(f.lang),
            worker: attempt.worker.clone(),
            started: f.short(&attempt.started.unwrap_or(attempt.dispatched)),
            ran: attempt.duration_ms.map(duration).unwrap_or_default(),
            end,
            message: attempt.message.clone().unwrap_or_default(),
            href: format!("?node={}&attempt={}#log", url(&node.name), attempt.number),
        };
        (row, log.is_some_and(|log| log.attempt == attempt.number))
    });
    rows.collect()
}

fn node_rows(view: &InstanceView, selected: Option<&str>, first: usize, f: &Frame) -> Vec<NodeRow> {
    let rows = view.nodes.iter().skip(first).take(NODE_ROWS).map(|node| {
        let start = view.started.unwrap_or(view.created);
        let first_start = node.attempts.first().map(|attempt| attempt.started.unwrap_or(attempt.dispatched));
        let waited = node.ready.map(|ready| ready.0.since(start.0)).filter(|ms| *ms >= 1_000 && !is_control(node));
        let queued = match (node.ready, first_start) {
            (Some(ready), Some(began)) => Some(began.0.since(ready.0)),
            (Some(ready), None) if node.state == NodeWord::Queued => Some(f.clock.since_ms(ready)),
            _ => None,
        };
        let attempt = match node.attempts.len() {
            0 => String::new(),
            1 => "1".to_owned(),
            n => format!("{n}/{}", node.attempts_max),
        };
        NodeRow {
            badge: markup::node(node.state).badge(f.lang),
            attempt,
            worker: node.attempts.last().map(|attempt| attempt.worker.clone()).unwrap_or_default(),
            waited: waited.map(duration).unwrap_or_default(),
            queued: queued.filter(|ms| *ms >= 100).map(duration).unwrap_or_default(),
            ran: node.duration_ms.filter(|_| !is_control(node)).map(duration).unwrap_or_default(),
            is_selected: selected == Some(node.name.as_str()),
            href: format!("?node={}#log", url(&node.name)),
            node: node.clone(),
        }
    });
    rows.collect()
}

fn row_pages(
    view: &InstanceView,
    first: usize,
    caller: &Caller,
) -> Option<(usize, usize, Option<String>, Option<String>)> {
    let total = view.nodes.len();
    if total <= NODE_ROWS {
        return None;
    }
    let last = (first + NODE_ROWS).min(total);
    let back = (first > 0).then(|| same_page(caller, "from_node", &first.saturating_sub(NODE_ROWS).to_string()));
    let on = (last < total).then(|| same_page(caller, "from_node", &last.to_string()));
    Some((first + 1, last, back.map(at_nodes), on.map(at_nodes)))
}

fn at_nodes(href: String) -> String {
    format!("{href}#nodes")
}

async fn log_of(app: &App, caller: &Caller, view: &InstanceView, node: &NodeView, f: &Frame) -> Result<Log, ApiError> {
    let asked = caller.number_32("attempt")?;
    let attempt = asked.or(node.attempts.last().map(|attempt| attempt.number)).unwrap_or(1);
    let grep = caller.parameter("grep").map(str::to_owned);
    let start = match caller.number("line")? {
        Some(line) => LogStart::Line(line.max(1)),
        None if grep.is_some() => LogStart::Line(1),
        None => LogStart::Tail(LOG_LINES),
    };
    let query = LogQuery {
        instance: view.number,
        generation: Some(view.generation),
        node: node.name.clone(),
        index: 0,
        attempt: Some(attempt),
        start,
        limit: LOG_LINES,
        grep: grep.clone(),
        stream: None,
        wait_ms: 0,
    };
    let api = format!("/api/v1/instances/{}/nodes/{}/attempts/{attempt}/log", view.number, url(&node.name));
    let generation = view.generation;
    // A log that cannot be had now must not hide the rest of the page.
    let (page, problem) = match app.client.log(query).await {
        Ok(page) => (page, None),
        Err(error) if error.code == ErrorCode::LogNotFound => (empty_log(attempt, generation), None),
        Err(error) => (empty_log(attempt, generation), Some(error.to_string())),
    };
    let lines = page.lines.iter().map(|line| LogRow {
        n: line.n,
        time: f.clock.clock(line.time),
        class: if line.stream == crate::api::LogStream::Stderr { "err" } else { "" },
        html: ansi::to_html(&line.text, grep.as_deref()),
    });
    let first = page.lines.first().map_or(1, |line| line.n);
    let earlier = (first > 1 && grep.is_none()).then(|| {
        let line = first.saturating_sub(u64::from(LOG_LINES)).max(1);
        format!("{}#log", same_page(caller, "line", &line.to_string()))
    });
    let attempts = node.attempts.iter().map(|a| {
        let mark = markup::attempt(a.state);
        let href = format!("?node={}&attempt={}#log", url(&node.name), a.number);
        (a.number, mark.class, mark.letter, a.number == attempt, href)
    });
    let is_following = !page.ended && grep.is_none() && problem.is_none();
    Ok(Log {
        node: node.name.clone(),
        attempt,
        attempts: attempts.collect(),
        lines: lines.collect(),
        total: page.total,
        is_ended: page.ended,
        is_cut: page.is_cut,
        follow: if is_following {
            format!("{api}?generation={generation}&from={}&follow=true", page.next)
        } else {
            String::new()
        },
        download: format!("{api}?generation={generation}&limit=5000&download=true"),
        grep: grep.unwrap_or_default(),
        earlier,
        problem,
    })
}

fn empty_log(attempt: u32, generation: u32) -> LogPage {
    LogPage { lines: Vec::new(), next: 1, ended: false, total: 0, attempt, generation, is_cut: false }
}

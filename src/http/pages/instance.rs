//! `/i/{instance}`: how far, what is slow, why does a node wait, what does it print?

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};

use crate::api::window::NodeCursor;
use crate::api::{
    ApiError, ErrorCode, Focus, InstanceRef, InstanceView, LeftOut, LogPage, LogQuery, LogStart, NodeOrder, NodePick,
    NodeView, NodeWindow, Query, Reply, StateCount, WhyView, page,
};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::instance_ref;
use crate::http::rest::window::states;
use crate::http::state::App;
use crate::model::state::NodeWord;

use super::format::{duration, url};
use super::graph::{Card, Line, LineStyle, draw};
use super::markup::{self, Markup};
use super::words::fill;
use super::{Frame, Page, ansi, charts, gantt, look, render, same_page};

/// An instance with more nodes is shown by a window of its nodes and the neighbourhood of one in the graph.
pub const WHOLE_MAX: u32 = 300;
/// A rerun dialog counts what follows each of so many nodes.
const COUNTED_MAX: usize = 400;
/// Rows of such a window.
pub const WINDOW_ROWS: usize = 100;
/// Of these in the Gantt chart: the graph below it is to be found.
const GANTT_ROWS: usize = 40;
/// Nodes of such a neighbourhood.
pub const AROUND_MAX: u32 = 40;
/// Lines of the log in the page; the script or the links fetch more.
const LOG_LINES: u32 = 200;
/// Bytes of one of them.
const LOG_LINE_BYTES: usize = 4 * 1024;

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
    /// Only some of the nodes are on the page: what is said of that, and where the others are.
    window: Option<Window>,
    /// With the address of the page that shows only these.
    counts: Vec<(Markup, u32, String)>,
    running_attempts: u32,
    rerun_failed: u32,
    action_nodes: Vec<String>,
    /// With how many nodes would run after each.
    rerun_nodes: Vec<(String, Option<usize>)>,
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

struct Window {
    rows_note: String,
    gantt_note: String,
    graph_note: String,
    first: Option<String>,
    next: Option<String>,
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
    let nodes = wanted_nodes(&caller)?;
    let seen = look(&app, Query::Instance { instance: wanted.clone(), generation, nodes, end_within_ms: 0 }).await?;
    let number = match (&seen.answer.reply, wanted) {
        (_, InstanceRef::Number(number)) => number,
        (Reply::Instance(view), _) => view.number,
        (other, _) => return Err(crate::http::state::unexpected(other).into()),
    };
    let topics = format!("&instance={number}");
    let mut f = Frame::new(&app, &caller, "instances", format!("#{number}"), &seen, &topics);
    let answer = seen.answer;
    let mut view = *expect_reply!(answer, Instance)?;
    f.title = format!("{} #{number}", view.workflow);
    let is_whole = view.nodes.len() == view.nodes_total as usize;
    if is_whole {
        in_order(&mut view)
    } else {
        cut(&mut view)
    }
    let selected = view.focus.take().map(|node| *node);
    let selected_name = selected.as_ref().map(|node| node.name.as_str());
    let log = match &selected {
        Some(node) if !node.attempts.is_empty() => Some(log_of(&app, &caller, &view, node, &f).await?),
        Some(_) | None => None,
    };
    let around = if is_whole { None } else { around(&app, &view, selected_name).await };
    let drawn = if is_whole { Some(&view) } else { around.as_ref().map(|(_, around)| around.as_ref()) };
    let label = fill(f.w.graph_of, &[&f.title]);
    let graph = drawn.map(|view| {
        let (cards, lines) = picture(view, selected_name, "");
        draw(&cards, &lines, &label, f.lang)
    });
    let window = (!is_whole).then(|| window(&view, around.as_ref().map(|(name, _)| name.as_str()), &caller, &f));
    let summary_share = match (view.duration_ms, view.usual_ms) {
        (Some(so_far), Some(usual)) if usual > 0 && !view.state.is_terminal() => Some(so_far as f64 / usual as f64),
        _ => None,
    };
    let page = InstancePage {
        progress: charts::progress(&view.progress, view.nodes_total, summary_share, f.w, f.lang),
        gantt: gantt::draw(&view, &f.clock, selected_name, if is_whole { usize::MAX } else { GANTT_ROWS }, f.w, f.lang),
        gantt_legend: gantt_legend(&f),
        graph,
        started_by: f.started_by(&view.kind, &view.trigger, &view.by),
        attempts: selected.as_ref().map(|node| attempt_rows(node, log.as_ref(), &f)).unwrap_or_default(),
        why: why_of(&view, selected.as_ref(), &f),
        rows: node_rows(&view, selected_name, &f),
        window,
        counts: counts(&view, &caller, &f),
        running_attempts: count_of(&view, &[NodeWord::Running, NodeWord::Dispatched]),
        rerun_failed: view.nodes_total - count_of(&view, &[NodeWord::Succeeded]),
        action_nodes: view.nodes.iter().filter(|node| !is_control(&node.kind)).map(|node| node.name.clone()).collect(),
        rerun_nodes: rerun_nodes(&view),
        first_problem: view.nodes.iter().find(|node| is_problem(node)).map(|node| node.name.clone()),
        verbs: [("pause", f.w.pause), ("resume", f.w.resume)],
        selected,
        log,
        f,
        view,
    };
    render(&page)
}

/// Action nodes with the number of nodes that a rerun from there takes along.
fn rerun_nodes(view: &InstanceView) -> Vec<(String, Option<usize>)> {
    let index: HashMap<&str, usize> =
        view.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); view.nodes.len()];
    for edge in &view.edges {
        if let (Some(from), Some(to)) = (index.get(edge.from.as_str()), index.get(edge.to.as_str())) {
            out[*from].push(*to);
        }
    }
    let n_after = |from: usize| {
        let mut seen = vec![false; view.nodes.len()];
        let mut todo = out[from].clone();
        while let Some(at) = todo.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                todo.extend(&out[at]);
            }
        }
        seen.iter().filter(|is_after| **is_after).count()
    };
    // Of a window not all that follows is known, and of many nodes counting takes long.
    let is_counted = view.nodes.len() == view.nodes_total as usize && view.nodes.len() <= COUNTED_MAX;
    let actions = view.nodes.iter().enumerate().filter(|(_, node)| !is_control(&node.kind));
    actions.map(|(at, node)| (node.name.clone(), is_counted.then(|| n_after(at)))).collect()
}

pub fn is_control(kind: &str) -> bool {
    matches!(kind, "start" | "end" | "fork" | "join" | "kill")
}

fn is_problem(node: &NodeView) -> bool {
    matches!(node.state, NodeWord::Failed | NodeWord::TimedOut | NodeWord::Lost | NodeWord::Retrying)
}

/// Those that need a look come first; a page that turns out to hold all puts them in order.
fn wanted_nodes(caller: &Caller) -> Result<NodeWindow, ApiError> {
    let states = states(caller, "state")?;
    let cursor = caller.owned("nodes");
    let is_part = cursor.is_some() || !states.is_empty();
    Ok(NodeWindow {
        limit: if is_part { WINDOW_ROWS as u32 } else { WHOLE_MAX },
        cursor,
        pick: if states.is_empty() { NodePick::All } else { NodePick::States(states) },
        order: NodeOrder::Urgency,
        focus: caller.owned("node").map_or(Focus::First, Focus::Named),
    })
}

/// All nodes of an instance in the order of its definition.
pub fn in_order(view: &mut InstanceView) {
    view.nodes.sort_by_key(|node| node.node_index);
    let at: HashMap<&str, usize> = index(&view.nodes);
    view.edges.sort_by_key(|edge| at.get(edge.from.as_str()).copied());
}

/// The first of too many nodes.
fn cut(view: &mut InstanceView) {
    if view.nodes.len() > WINDOW_ROWS {
        view.nodes.truncate(WINDOW_ROWS);
        let last = view.nodes.last();
        view.nodes_next =
            last.map(|node| NodeCursor::behind(NodeOrder::Urgency, node.state, node.node_index).to_string());
    }
}

/// The neighbourhood of the chosen node, else of the first one shown.
async fn around(app: &App, view: &InstanceView, selected: Option<&str>) -> Option<(String, Box<InstanceView>)> {
    let centre = selected.or(view.nodes.first().map(|node| node.name.as_str()))?;
    neighbourhood(app, view.number, Some(view.generation), centre).await.map(|view| (centre.to_owned(), view))
}

/// A part of the graph. What cannot be had now must not hide the rest of the page.
pub async fn neighbourhood(app: &App, number: u64, generation: Option<u32>, centre: &str) -> Option<Box<InstanceView>> {
    let nodes = NodeWindow { limit: AROUND_MAX, pick: NodePick::Around(centre.to_owned()), ..NodeWindow::default() };
    let query = Query::Instance { instance: InstanceRef::Number(number), generation, nodes, end_within_ms: 0 };
    match app.look(query).await.ok()?.answer.reply {
        Reply::Instance(view) => Some(view),
        _ => None,
    }
}

fn window(view: &InstanceView, centre: Option<&str>, caller: &Caller, f: &Frame) -> Window {
    let (shown, total) = (view.nodes.len(), view.nodes_total);
    let is_later = caller.parameter("nodes").is_some();
    Window {
        rows_note: fill(f.w.nodes_urgent, &[&shown, &total]),
        gantt_note: fill(f.w.gantt_window, &[&GANTT_ROWS, &total]),
        graph_note: centre.map(|centre| fill(f.w.graph_around, &[&centre, &total])).unwrap_or_default(),
        first: is_later.then(|| at_nodes(same_page(caller, "nodes", ""))),
        next: view.nodes_next.as_ref().map(|next| at_nodes(same_page(caller, "nodes", next))),
    }
}

fn counts(view: &InstanceView, caller: &Caller, f: &Frame) -> Vec<(Markup, u32, String)> {
    let href = |state: NodeWord| at_nodes(format!("{}?state={}", caller.path, state.word()));
    let count = |count: &StateCount| (markup::node(count.state).chip(f.lang), count.count, href(count.state));
    view.progress.iter().map(count).collect()
}

fn count_of(view: &InstanceView, states: &[NodeWord]) -> u32 {
    view.progress.iter().filter(|count| states.contains(&count.state)).map(|count| count.count).sum()
}

fn index(nodes: &[NodeView]) -> HashMap<&str, usize> {
    nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect()
}

/// The graph of an instance, or of a part of it; links open the node's log, on the page `base` (this one when empty).
pub fn picture(view: &InstanceView, selected: Option<&str>, base: &str) -> (Vec<Card>, Vec<Line>) {
    let cards = view.nodes.iter().map(|node| Card {
        name: node.name.clone(),
        kind: node.kind.clone(),
        mark: Some(markup::node(node.state)),
        time: node.duration_ms.filter(|_| !is_control(&node.kind)).map(duration).unwrap_or_default(),
        attempt: if node.attempts.len() > 1 {
            format!("{}/{}", node.attempts.len(), node.attempts_max)
        } else {
            String::new()
        },
        href: format!("{base}?node={}#log", url(&node.name)),
        is_selected: selected == Some(node.name.as_str()),
        is_critical: node.is_critical,
    });
    let index = index(&view.nodes);
    let lines = view.edges.iter().filter_map(|edge| {
        let style = match edge.state.as_deref() {
            Some("live") => LineStyle::Done,
            Some("dead") => LineStyle::Dead,
            Some(_) | None => LineStyle::Plain,
        };
        let (from, to) = (*index.get(edge.from.as_str())?, *index.get(edge.to.as_str())?);
        Some(Line { from, to, style, is_error: edge.kind == "error" })
    });
    let (mut cards, mut lines) = (cards.collect(), lines.collect());
    left_out(&view.left_out, &index, &mut cards, &mut lines, |node| format!("{base}?node={}#graph", url(node)));
    (cards, lines)
}

/// A card for what is not drawn before and behind a node.
pub fn left_out(
    left_out: &[LeftOut],
    index: &HashMap<&str, usize>,
    cards: &mut Vec<Card>,
    lines: &mut Vec<Line>,
    href: impl Fn(&str) -> String,
) {
    for left in left_out {
        let Some(at) = index.get(left.node.as_str()).copied() else { continue };
        for (count, is_before) in [(left.before, true), (left.after, false)] {
            if count == 0 {
                continue;
            }
            let more = cards.len();
            cards.push(Card {
                name: format!("+{count}"),
                kind: "…".to_owned(),
                mark: None,
                time: String::new(),
                attempt: String::new(),
                href: href(&left.node),
                is_selected: false,
                is_critical: false,
            });
            let (from, to) = if is_before { (more, at) } else { (at, more) };
            lines.push(Line { from, to, style: LineStyle::Plain, is_error: false });
        }
    }
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

/// Why the chosen node, else the instance, else the first held node does not run.
fn why_of(view: &InstanceView, selected: Option<&NodeView>, f: &Frame) -> Option<(String, Option<Markup>, WhyView)> {
    let of_node = |node: &NodeView| {
        let why = node.why.clone().filter(|_| !matches!(node.state, NodeWord::Running | NodeWord::Dispatched))?;
        Some((fill(f.w.why_not_running, &[&node.name]), Some(markup::node(node.state).chip(f.lang)), why))
    };
    // "It waits for its nodes" says less than why one of them waits.
    let of_instance = view.why.clone().filter(|why| why.reasons.iter().any(|reason| reason.code != "waits-for-nodes"));
    let is_held = |node: &&NodeView| matches!(node.state, NodeWord::Queued | NodeWord::Lost | NodeWord::Retrying);
    selected
        .and_then(of_node)
        .or_else(|| of_instance.map(|why| (f.w.why_instance.to_owned(), None, why)))
        .or_else(|| view.nodes.iter().filter(is_held).find_map(of_node))
}

fn attempt_rows(node: &NodeView, log: Option<&Log>, f: &Frame) -> Vec<(AttemptRow, bool)> {
    let rows = node.attempts.iter().map(|attempt| {
        let message = attempt.message.as_ref().map(|message| f.say(message)).unwrap_or_default();
        let end = match (attempt.exit_code, attempt.signal) {
            _ if !message.is_empty() => String::new(),
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
            message,
            href: format!("?node={}&attempt={}#log", url(&node.name), attempt.number),
        };
        (row, log.is_some_and(|log| log.attempt == attempt.number))
    });
    rows.collect()
}

fn node_rows(view: &InstanceView, selected: Option<&str>, f: &Frame) -> Vec<NodeRow> {
    let rows = view.nodes.iter().map(|node| {
        let start = view.started.unwrap_or(view.created);
        let first_start = node.attempts.first().map(|attempt| attempt.started.unwrap_or(attempt.dispatched));
        let waited =
            node.ready.map(|ready| ready.0.since(start.0)).filter(|ms| *ms >= 1_000 && !is_control(&node.kind));
        let queued = match (node.ready, first_start) {
            (Some(ready), Some(began)) => Some(began.0.since(ready.0)),
            (Some(ready), None) if node.state == NodeWord::Queued => Some(f.clock.since_ms(ready)),
            _ => None,
        };
        let attempt = match node.attempts.len() {
            0 => String::new(),
            1 => "1".to_owned(),
            n => format!("{}/{}", node.attempts_total.max(n as u32), node.attempts_max),
        };
        NodeRow {
            badge: markup::node(node.state).badge(f.lang),
            attempt,
            worker: node.attempts.last().map(|attempt| attempt.worker.clone()).unwrap_or_default(),
            waited: waited.map(duration).unwrap_or_default(),
            queued: queued.filter(|ms| *ms >= 100).map(duration).unwrap_or_default(),
            ran: node.duration_ms.filter(|_| !is_control(&node.kind)).map(duration).unwrap_or_default(),
            is_selected: selected == Some(node.name.as_str()),
            href: format!("?node={}#log", url(&node.name)),
            node: node.clone(),
        }
    });
    rows.collect()
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
        Err(error) => (empty_log(attempt, generation), Some(f.say(&error.detail))),
    };
    let lines = page.lines.iter().map(|line| LogRow {
        n: line.n,
        time: f.clock.clock(line.time),
        class: if line.stream == crate::api::LogStream::Stderr { "err" } else { "" },
        html: {
            let mut text = line.text.clone();
            page::cut_text(&mut text, LOG_LINE_BYTES);
            ansi::to_html(&text, grep.as_deref())
        },
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

//! `/w/{name}`: where is it now, when does it fire next, with which values?

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};

use crate::api::window::NodeCursor;
use crate::api::{
    Focus, InstanceRef, InstanceView, NodeOrder, NodePick, NodeView, NodeWindow, Query, Reply, WorkflowView,
};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;
use crate::model::measurement::MONITOR;
use crate::model::state::NodeWord;

use super::format::{duration, url};
use super::graph::{Card, Line, LineStyle, draw};
use super::instance::{AROUND_MAX, WHOLE_MAX, WINDOW_ROWS, is_control, left_out, neighbourhood};
use super::markup::{self, Markup};
use super::words::fill;
use super::{Frame, Page, charts, look, render, same_page};

/// Reasons of a workflow that only somebody starts.
const NO_SCHEDULE: &[&str] = &["no-coordinator", "neither-trigger-nor-prerequisite"];
/// Names of other nodes in one row of the table.
const NAMES_MAX: usize = 10;

#[derive(Template)]
#[template(path = "workflow.html")]
struct WorkflowPage {
    f: Frame,
    view: WorkflowView,
    graph: Option<Markup>,
    /// The instance whose states the graph shows.
    shown: Option<Box<InstanceView>>,
    progress: Option<Markup>,
    rows: Vec<NodeRow>,
    /// Only some of the nodes are on the page.
    window: Option<Window>,
    runs: Markup,
    /// Nothing makes it fire, so there is no use in asking why it does not.
    is_unscheduled: bool,
    param_names: Vec<String>,
    /// A node of it measures something.
    has_monitor: bool,
    /// Verbs whose dialog asks for a reason alone.
    verbs: [(&'static str, &'static str); 3],
}

struct Window {
    note: String,
    graph_note: String,
    first: Option<String>,
    next: Option<String>,
}

struct NodeRow {
    name: String,
    kind: String,
    state: Option<Markup>,
    took: String,
    beside: String,
    description: String,
}

pub async fn page(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Page {
    let cursor = caller.owned("nodes");
    let limit = if cursor.is_some() { WINDOW_ROWS as u32 } else { WHOLE_MAX };
    let nodes = NodeWindow { limit, cursor, ..NodeWindow::default() };
    let seen = look(&app, Query::Workflow { name: name.clone(), nodes }).await?;
    let topics = format!("&workflow={}", url(&name));
    let f = Frame::new(&app, &caller, "workflows", name, &seen, &topics);
    let answer = seen.answer;
    let mut view = *expect_reply!(answer, Workflow)?;
    let is_whole = view.nodes.len() == view.nodes_total as usize;
    if !is_whole && view.nodes.len() > WINDOW_ROWS {
        view.nodes.truncate(WINDOW_ROWS);
        let last = NodeCursor::behind(NodeOrder::Definition, NodeWord::Waiting, WINDOW_ROWS as u32 - 1);
        view.nodes_next = Some(last.to_string());
    }
    let shown = newest_running(&app, &view, is_whole).await;
    let progress = shown.as_ref().map(|i| charts::progress(&i.progress, i.nodes_total, None, f.w, f.lang));
    let label = fill(f.w.graph_of, &[&view.summary.name]);
    let mut graph_note = String::new();
    let picture = if is_whole {
        Some(picture(&view, shown.as_deref()))
    } else {
        let centre = centre(&view, shown.as_deref(), &caller);
        graph_note = fill(f.w.graph_around, &[&centre, &view.nodes_total]);
        part(&app, &view, shown.as_deref(), &centre).await
    };
    let graph = picture.map(|(cards, lines)| draw(&cards, &lines, &label, f.lang));
    let rows = table(&view, shown.as_deref(), is_whole, &f);
    let window = (!is_whole).then(|| Window {
        note: fill(f.w.nodes_part, &[&view.nodes.len(), &view.nodes_total]),
        first: caller.parameter("nodes").map(|_| at_graph(same_page(&caller, "nodes", ""))),
        next: view.nodes_next.as_ref().map(|next| at_graph(same_page(&caller, "nodes", next))),
        graph_note,
    });
    let runs = charts::runs(&view.instances, view.summary.usual_ms, &f.clock, f.lang);
    let mut param_names: Vec<String> = Vec::new();
    for (name, _) in view.next_fires.iter().flat_map(|fire| &fire.params) {
        if !param_names.contains(name) {
            param_names.push(name.clone());
        }
    }
    let verbs = [("enable", f.w.enable), ("disable", f.w.disable), ("reset", f.w.reset)];
    let is_unscheduled =
        view.why.iter().flat_map(|why| &why.reasons).any(|reason| NO_SCHEDULE.contains(&&*reason.code));
    let has_monitor = view.nodes.iter().any(|node| node.kind == MONITOR);
    render(&WorkflowPage {
        f,
        view,
        graph,
        shown,
        progress,
        rows,
        window,
        runs,
        is_unscheduled,
        param_names,
        has_monitor,
        verbs,
    })
}

fn at_graph(href: String) -> String {
    format!("{href}#graph")
}

/// The graph shows a run of it, while there is one of the same version. Of a part of the nodes: the states of these,
/// and what one would look at first.
async fn newest_running(app: &App, view: &WorkflowView, is_whole: bool) -> Option<Box<InstanceView>> {
    let live = || view.instances.iter().filter(|instance| !instance.state.is_terminal());
    let newest = live().find(|instance| instance.started.is_some()).or_else(|| live().next())?;
    let names = || view.nodes.iter().map(|node| node.name.clone()).collect();
    let nodes = NodeWindow {
        pick: if is_whole { NodePick::All } else { NodePick::Named(names()) },
        focus: Focus::First,
        ..NodeWindow::default()
    };
    let query =
        Query::Instance { instance: InstanceRef::Number(newest.number), generation: None, nodes, end_within_ms: 0 };
    match app.look(query).await.ok()?.answer.reply {
        Reply::Instance(instance) => Some(instance),
        _ => None,
    }
}

/// The node in whose neighbourhood one is: the one asked for, what runs, else the first one shown.
fn centre(view: &WorkflowView, shown: Option<&InstanceView>, caller: &Caller) -> String {
    let running = shown.and_then(|instance| instance.focus.as_ref()).map(|node| node.name.clone());
    let first = || view.nodes.first().map(|node| node.name.clone());
    caller.owned("node").or(running).or_else(first).unwrap_or_default()
}

/// The neighbourhood of a node, in the running instance or in the definition.
async fn part(
    app: &App,
    view: &WorkflowView,
    shown: Option<&InstanceView>,
    centre: &str,
) -> Option<(Vec<Card>, Vec<Line>)> {
    if let Some(instance) = shown {
        let around = neighbourhood(app, instance.number, None, centre).await?;
        return Some(super::instance::picture(&around, Some(centre), &format!("/i/{}", instance.number)));
    }
    let nodes = NodeWindow { limit: AROUND_MAX, pick: NodePick::Around(centre.to_owned()), ..NodeWindow::default() };
    let query = Query::Workflow { name: view.summary.name.clone(), nodes };
    match app.look(query).await.ok()?.answer.reply {
        Reply::Workflow(around) => Some(drawn(&around, |node| format!("?node={}#graph", url(node)), Some(centre))),
        _ => None,
    }
}

fn picture(view: &WorkflowView, shown: Option<&InstanceView>) -> (Vec<Card>, Vec<Line>) {
    match shown {
        Some(instance) => super::instance::picture(instance, None, &format!("/i/{}", instance.number)),
        None => drawn(view, |node| format!("#n-{}", url(node)), None),
    }
}

fn drawn(view: &WorkflowView, href: impl Fn(&str) -> String, selected: Option<&str>) -> (Vec<Card>, Vec<Line>) {
    let cards = view.nodes.iter().map(|node| Card {
        name: node.name.clone(),
        kind: node.kind.clone(),
        mark: None,
        time: String::new(),
        attempt: String::new(),
        href: href(&node.name),
        is_selected: selected == Some(node.name.as_str()),
        is_critical: false,
    });
    let index: HashMap<&str, usize> =
        view.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let lines = view.edges.iter().filter_map(|edge| {
        let is_error = edge.kind == "error";
        let (from, to) = (*index.get(edge.from.as_str())?, *index.get(edge.to.as_str())?);
        Some(Line { from, to, style: LineStyle::Plain, is_error })
    });
    let (mut cards, mut lines) = (cards.collect(), lines.collect());
    left_out(&view.left_out, &index, &mut cards, &mut lines, href);
    (cards, lines)
}

/// What stands before each node; of a part of the nodes, whose edges in are not known, what comes after.
fn table(view: &WorkflowView, shown: Option<&InstanceView>, is_whole: bool, f: &Frame) -> Vec<NodeRow> {
    let mut beside: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in &view.edges {
        let (of, other) = if is_whole { (&edge.to, &edge.from) } else { (&edge.from, &edge.to) };
        beside.entry(of).or_default().push(other);
    }
    let states: HashMap<&str, &NodeView> =
        shown.iter().flat_map(|instance| &instance.nodes).map(|node| (node.name.as_str(), node)).collect();
    let rows = view.nodes.iter().map(|node| {
        let state = states.get(node.name.as_str());
        let took = state.and_then(|state| state.duration_ms).filter(|_| !is_control(&node.kind));
        NodeRow {
            name: node.name.clone(),
            kind: node.kind.clone(),
            state: state.map(|state| markup::node(state.state).badge(f.lang)),
            took: took.map(duration).unwrap_or_default(),
            beside: some_of(beside.get(node.name.as_str()).map(Vec::as_slice).unwrap_or_default()),
            description: node.description.clone().unwrap_or_default(),
        }
    });
    rows.collect()
}

fn some_of(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    if names.len() > NAMES_MAX { format!("{shown}, +{}", names.len() - NAMES_MAX) } else { shown }
}

//! `/w/{name}`: where is it now, when does it fire next, with which values?

use askama::Template;
use axum::extract::{Path, State};

use crate::api::{InstanceRef, InstanceView, Query, Reply, WorkflowView};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::format::url;
use super::graph::{Card, Line, LineStyle, NODES_MAX, draw};
use super::markup::Markup;
use super::words::fill;
use super::{Frame, Page, charts, look, render};

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
    runs: Markup,
    param_names: Vec<String>,
    /// Verbs whose dialog asks for a reason alone.
    verbs: [(&'static str, &'static str); 3],
}

struct NodeRow {
    name: String,
    kind: String,
    state: Option<Markup>,
    took: String,
    after: String,
    description: String,
}

pub async fn page(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Page {
    let seen = look(&app, Query::Workflow { name: name.clone() }).await?;
    let topics = format!("&workflow={}", url(&name));
    let f = Frame::new(&app, &caller, "workflows", name, &seen, &topics);
    let answer = seen.answer;
    let view = *expect_reply!(answer, Workflow)?;
    let shown = newest_running(&app, &view).await;
    let progress = shown.as_ref().map(|i| charts::progress(&i.progress, i.nodes_total, None, f.w, f.lang));
    let (cards, lines) = picture(&view, shown.as_deref());
    let label = fill(f.w.graph_of, &[&view.summary.name]);
    let graph = (cards.len() <= NODES_MAX).then(|| draw(&cards, &lines, &label, f.lang));
    let rows = table(&view, &cards, &lines, &f);
    let runs = charts::runs(&view.instances, view.summary.usual_ms, &f.clock, f.lang);
    let mut param_names: Vec<String> = Vec::new();
    for (name, _) in view.next_fires.iter().flat_map(|fire| &fire.params) {
        if !param_names.contains(name) {
            param_names.push(name.clone());
        }
    }
    let verbs = [("enable", f.w.enable), ("disable", f.w.disable), ("reset", f.w.reset)];
    render(&WorkflowPage { f, view, graph, shown, progress, rows, runs, param_names, verbs })
}

/// The graph shows a run of it, while there is one of the same version.
async fn newest_running(app: &App, view: &WorkflowView) -> Option<Box<InstanceView>> {
    let newest = view.instances.iter().find(|instance| !instance.state.is_terminal())?;
    let query = Query::Instance { instance: InstanceRef::Number(newest.number), generation: None };
    match app.look(query).await.ok()?.answer.reply {
        Reply::Instance(instance) => Some(instance),
        _ => None,
    }
}

fn picture(view: &WorkflowView, shown: Option<&InstanceView>) -> (Vec<Card>, Vec<Line>) {
    if let Some(instance) = shown {
        return super::instance::picture(instance, None, &format!("/i/{}", instance.number));
    }
    let cards = view.nodes.iter().map(|node| Card {
        name: node.name.clone(),
        kind: node.kind.clone(),
        mark: None,
        time: String::new(),
        attempt: String::new(),
        href: format!("#n-{}", url(&node.name)),
        is_selected: false,
        is_critical: false,
    });
    let index = |name: &str| view.nodes.iter().position(|node| node.name == name);
    let lines = view.edges.iter().filter_map(|edge| {
        let is_error = edge.kind == "error";
        Some(Line { from: index(&edge.from)?, to: index(&edge.to)?, style: LineStyle::Plain, is_error })
    });
    (cards.collect(), lines.collect())
}

fn table(view: &WorkflowView, cards: &[Card], lines: &[Line], f: &Frame) -> Vec<NodeRow> {
    let mut before: Vec<Vec<&str>> = vec![Vec::new(); cards.len()];
    for line in lines {
        before[line.to].push(&cards[line.from].name);
    }
    let rows = cards.iter().zip(before).map(|(card, before)| NodeRow {
        name: card.name.clone(),
        kind: card.kind.clone(),
        state: card.mark.map(|mark| mark.badge(f.lang)),
        took: card.time.clone(),
        after: before.join(", "),
        description: String::new(),
    });
    let mut rows: Vec<NodeRow> = rows.collect();
    for (row, node) in rows.iter_mut().zip(&view.nodes) {
        if row.name == node.name {
            row.description = node.description.clone().unwrap_or_default();
        }
    }
    rows
}

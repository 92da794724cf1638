//! `/cluster`: who leads, would we survive a loss, where is room?

use askama::Template;
use axum::extract::State;

use crate::api::view::{ClusterEventView, ClusterNodeView, ClusterView};
use crate::api::{PageRequest, Query, WorkerView};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::markup::{self, Markup};
use super::{Frame, Page, charts, look, render, same_page};

/// Events on each page of them.
const EVENTS_OF_PAGE: u32 = 50;
/// Running attempts on the page.
const ATTEMPTS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "cluster.html")]
struct ClusterPage {
    f: Frame,
    masters: Vec<(ClusterNodeView, Markup)>,
    rows: Vec<NodeRow>,
    attempts: Vec<AttemptRow>,
    /// Running ones in all.
    n_attempts: usize,
    slots: u32,
    slots_used: u32,
    running: Markup,
    /// Newest first.
    events: Vec<ClusterEventView>,
    newest_events: Option<String>,
    older_events: Option<String>,
    /// Verb, id of its dialog, title; the last one is the dangerous one.
    verbs: [(&'static str, &'static str, &'static str); 3],
    view: ClusterView,
}

struct NodeRow {
    node: ClusterNodeView,
    state: Markup,
    /// Of the same name, for nodes that are workers.
    worker: Option<WorkerView>,
    slots: Markup,
    up_for: String,
}

struct AttemptRow {
    workflow: String,
    instance: u64,
    node: String,
    worker: String,
    number: u32,
    ran: String,
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let seen = look(&app, Query::Cluster).await?;
    let f = Frame::new(&app, &caller, "cluster", caller.lang.words().cluster.to_owned(), &seen, "&topics=cluster");
    let answer = seen.answer;
    let view = *expect_reply!(answer, Cluster)?;
    let is_master = |node: &&ClusterNodeView| node.roles.iter().any(|role| role == "master");
    let masters = view.nodes.iter().filter(is_master);
    let masters = masters.map(|node| (node.clone(), markup::process(&node.state, f.lang))).collect();
    let rows = view.nodes.iter().map(|node| {
        let worker = view.workers.iter().find(|worker| worker.id == node.id).cloned();
        NodeRow {
            state: markup::process(worker.as_ref().map_or(node.state.as_str(), |worker| &worker.state), f.lang),
            slots: worker.as_ref().map(|worker| charts::slots(worker.slots_used, worker.slots)).unwrap_or_default(),
            up_for: node.started.map(|at| f.took(&f.clock.since_ms(at))).unwrap_or_default(),
            worker,
            node: node.clone(),
        }
    });
    let rows = rows.collect();
    let attempts = view.workers.iter().flat_map(|worker| {
        worker.running.iter().map(|attempt| AttemptRow {
            workflow: attempt.workflow.clone(),
            instance: attempt.instance,
            node: attempt.node.clone(),
            worker: worker.id.clone(),
            number: attempt.number,
            ran: attempt.started.map(|at| f.took(&f.clock.since_ms(at))).unwrap_or_default(),
        })
    });
    let attempts = attempts.take(ATTEMPTS_MAX).collect();
    let n_attempts = view.workers.iter().map(|worker| worker.running.len() + worker.running_more as usize).sum();
    // Of a worker that takes nothing new, what is in use is all that counts.
    let slots_of = |worker: &WorkerView| match worker.state.as_str() {
        "up" => worker.slots,
        "draining" => worker.slots_used,
        _ => 0,
    };
    let slots = view.workers.iter().map(slots_of).sum();
    let slots_used = view.workers.iter().map(|worker| worker.slots_used).sum();
    let (mut events, mut older) = (view.events.clone(), view.events_before.clone());
    events.reverse();
    let cursor = caller.owned("events");
    if cursor.is_some() {
        let page = PageRequest { limit: EVENTS_OF_PAGE, cursor: cursor.clone() };
        let found = expect_reply!(look(&app, Query::ClusterEvents { page }).await?.answer, Events)?;
        (events, older) = (found.items.into_iter().map(ClusterEventView::from).collect(), found.next);
    }
    let at_events = |cursor: &str| format!("{}#events", same_page(&caller, "events", cursor));
    let newest_events = cursor.map(|_| at_events(""));
    let older_events = older.map(|older| at_events(&older));
    let running = markup::node(crate::model::state::NodeWord::Running).badge(f.lang);
    let w = f.w;
    let verbs =
        [("drain", "drain", w.drain), ("undrain", "undrain", w.undrain), ("declare-dead", "dead", w.declare_dead)];
    render(&ClusterPage {
        f,
        masters,
        rows,
        attempts,
        n_attempts,
        slots,
        slots_used,
        running,
        events,
        newest_events,
        older_events,
        verbs,
        view,
    })
}

//! The nodes of a file and the ways between them, before anything else is known of them.
//!
//! Owns names, targets, and the questions about the whole: duplicates, ends, circles, what is reachable, what
//! is upstream. Everything here is linear in nodes and edges; start reading at `Graph::of`.

use std::cell::RefCell;
use std::collections::HashMap;

use super::code::Code;
use super::read::Reader;
use super::sink::Fault;
use super::source::Span;
use super::tree::Element;
use super::workflow::{is_node, value as text_of};
use crate::model::definition::{EdgeKind, NODES_MAX};
use crate::model::id::NodeIndex;
use crate::say;

pub(super) struct Graph<'a> {
    pub nodes: Vec<GraphNode<'a>>,
    by_name: HashMap<String, usize>,
    /// Ways into each node.
    into: Vec<Vec<usize>>,
    upstream: RefCell<Upstream>,
}

pub(super) struct GraphNode<'a> {
    pub element: &'a Element<'a>,
    pub name: String,
    pub edges: Vec<Target>,
}

/// One way out of a node.
pub(super) struct Target {
    pub kind: EdgeKind,
    pub name: String,
    pub span: Span,
    /// `None`: there is no such node.
    pub to: Option<usize>,
}

/// The nodes from which one node can be reached; the last question is kept, as questions come node by node.
#[derive(Default)]
struct Upstream {
    of: Option<usize>,
    holds: Vec<bool>,
    /// Steps of all searches together.
    n_steps: usize,
}

/// Beyond so many steps every node counts as upstream: only huge graphs full of references get here.
const UPSTREAM_STEPS_MAX: usize = 50_000_000;

const CYCLES_MAX: usize = 5;
const CYCLE_NAMES_MAX: usize = 10;

impl<'a> Graph<'a> {
    pub fn of(root: &'a Element<'a>) -> Self {
        let mut nodes: Vec<GraphNode<'a>> = root
            .elements()
            .filter(|child| is_node(child.name))
            .map(|element| GraphNode { element, name: text_of(element, "name").unwrap_or_default(), edges: Vec::new() })
            .collect();
        let mut by_name = HashMap::new();
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| !node.name.is_empty()) {
            by_name.entry(node.name.clone()).or_insert(at);
        }
        let mut into = vec![Vec::new(); nodes.len()];
        for (at, node) in nodes.iter_mut().enumerate() {
            node.edges = targets(node.element);
            for edge in &mut node.edges {
                edge.to = by_name.get(&edge.name).copied();
                if let Some(to) = edge.to {
                    into[to].push(at);
                }
            }
        }
        Self { nodes, by_name, into, upstream: RefCell::default() }
    }

    pub fn has_action(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|at| self.nodes[*at].element.name == "action")
    }

    /// Is the action `name` on some way to `node`?
    pub fn is_upstream(&self, name: &str, node: usize) -> bool {
        let Some(at) = self.by_name.get(name).filter(|_| self.has_action(name)) else { return false };
        let mut upstream = self.upstream.borrow_mut();
        if upstream.of != Some(node) {
            if upstream.n_steps > UPSTREAM_STEPS_MAX {
                return true;
            }
            upstream.holds = reach([node].into(), self.nodes.len(), |at| self.into[at].iter().copied());
            upstream.of = Some(node);
            upstream.n_steps += upstream.holds.iter().filter(|holds| **holds).count();
        }
        *at != node && upstream.holds.get(*at).copied().unwrap_or(false)
    }

    /// Does every node lead where it should?
    fn is_whole(&self) -> bool {
        let n_needed = |node: &GraphNode<'_>| match node.element.name {
            "end" | "kill" => 0,
            _ => 1,
        };
        self.nodes.len() <= NODES_MAX
            && self.by_name.len() == self.nodes.len()
            && self
                .nodes
                .iter()
                .all(|node| node.edges.len() >= n_needed(node) && node.edges.iter().all(|edge| edge.to.is_some()))
    }

    fn next(&self, at: usize) -> impl Iterator<Item = usize> {
        self.nodes[at].edges.iter().filter_map(|edge| edge.to)
    }
}

/// Everything that can be reached from `from`, itself included.
fn reach<I: Iterator<Item = usize>>(from: Vec<usize>, n: usize, next: impl Fn(usize) -> I) -> Vec<bool> {
    let mut reached = vec![false; n];
    let mut todo = from;
    while let Some(at) = todo.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            todo.extend(next(at).filter(|next| !reached[*next]));
        }
    }
    reached
}

fn targets(element: &Element<'_>) -> Vec<Target> {
    let target = |element: &Element<'_>, kind: EdgeKind| {
        let attribute = element.attribute("to").filter(|to| !to.value.value.trim().is_empty())?;
        let name = attribute.value.value.trim().to_owned();
        Some(Target { kind, name, span: attribute.value.trimmed_span(), to: None })
    };
    match element.name {
        "start" => target(element, EdgeKind::Start).into_iter().collect(),
        "join" => target(element, EdgeKind::Join).into_iter().collect(),
        "fork" => {
            let mut paths: Vec<Target> = Vec::new();
            for path in element.named("path").filter_map(|path| target(path, EdgeKind::ForkPath)) {
                if paths.iter().all(|other| other.name != path.name) {
                    paths.push(path);
                }
            }
            paths
        }
        "action" => {
            let ok = element.named("ok").next().and_then(|ok| target(ok, EdgeKind::Ok));
            let errors: Vec<_> = element.named("error").collect();
            let error = match errors.as_slice() {
                [one] => target(one, EdgeKind::Error),
                _ => None,
            };
            ok.into_iter().chain(error).collect()
        }
        _ => Vec::new(),
    }
}

impl Reader<'_> {
    /// Says what is wrong with the graph as a whole. The start, when there is exactly one.
    pub fn check_graph(&self, root: &Element<'_>) -> Option<NodeIndex> {
        let graph = self.scope.graph;
        self.check_names(graph);
        self.check_targets(graph);
        let start = self.check_start(graph, root);
        if !graph.nodes.iter().any(|node| node.element.name == "end") {
            let fault = Fault::new(Code::NoEnd, root.span, say!("the workflow has no <end>"));
            self.push(fault.hint(say!("add <end name=\"end\"/> and lead the last node there")));
        }
        self.check_cycles(graph);
        // A wrong or missing target makes what it should have led to unreachable: one fault is enough.
        if self.is_well_formed
            && graph.is_whole()
            && let Some(start) = start
        {
            self.check_reachable(graph, start);
        }
        start.map(|at| NodeIndex(at as u32))
    }

    fn check_names(&self, graph: &Graph<'_>) {
        for (at, node) in graph.nodes.iter().enumerate() {
            let Some(first) = graph.by_name.get(&node.name).filter(|first| **first != at) else { continue };
            let (line, column) = self.sink.source.place(graph.nodes[*first].element.span.start);
            let span = node.element.attribute("name").map_or(node.element.span, |name| name.value.trimmed_span());
            let message = say!("there is already a node \"{}\"", node.name);
            self.push(Fault::new(Code::DuplicateNode, span, message).note(say!("first at {}:{}", line, column)));
        }
    }

    fn check_targets(&self, graph: &Graph<'_>) {
        for node in &graph.nodes {
            for edge in node.edges.iter().filter(|edge| edge.to.is_none() && !edge.name.contains("${")) {
                let message = say!("node \"{}\" goes to \"{}\", which does not exist", node.name, edge.name);
                let fault = Fault::new(Code::UnknownTarget, edge.span, message);
                let names = graph.nodes.iter().map(|node| node.name.as_str()).filter(|name| !name.is_empty());
                // Suggestions cost a look at every name: enough of them for any file that people wrote.
                self.push(if self.sink.n_errors() < 20 { fault.suggest(&edge.name, names) } else { fault });
            }
            if node.element.name == "fork" {
                self.check_paths(node);
            }
        }
    }

    fn check_paths(&self, fork: &GraphNode<'_>) {
        let mut seen: Vec<&str> = Vec::new();
        for to in fork.element.named("path").filter_map(|path| path.attribute("to")) {
            let name = to.value.value.trim();
            if seen.contains(&name) && !name.is_empty() {
                let message = say!("fork \"{}\" already leads to \"{}\"; a node runs once", fork.name, name);
                self.push(Fault::new(Code::SamePathTwice, to.value.trimmed_span(), message));
            }
            seen.push(name);
        }
    }

    fn check_start(&self, graph: &Graph<'_>, root: &Element<'_>) -> Option<usize> {
        let mut starts = graph.nodes.iter().enumerate().filter(|(_, node)| node.element.name == "start");
        let first = starts.next();
        if first.is_none() {
            let fault = Fault::new(Code::NotOneStart, root.span, say!("the workflow has no <start>"));
            self.push(fault.hint(say!("add <start name=\"start\" to=\"…\"/>")));
        }
        let mut is_only = true;
        for (_, more) in starts {
            is_only = false;
            let message = say!("the workflow has more than one <start>");
            self.push(Fault::new(Code::NotOneStart, more.element.span, message));
        }
        first.map(|(at, _)| at).filter(|_| is_only)
    }

    fn check_reachable(&self, graph: &Graph<'_>, start: usize) {
        let reached = reach(vec![start], graph.nodes.len(), |at| graph.next(at));
        for (node, _) in graph.nodes.iter().zip(reached).filter(|(_, is_reached)| !is_reached) {
            let message = say!("nothing leads to {} \"{}\"", node.element.name, node.name);
            let fault = Fault::new(Code::Unreachable, node.element.span, message);
            self.push(fault.hint(say!("lead another node to it, or remove it")));
        }
    }

    /// Depth first, without recursion: 20,000 nodes in a row are legal.
    fn check_cycles(&self, graph: &Graph<'_>) {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            OnPath,
            Done,
        }
        let mut marks = vec![Mark::New; graph.nodes.len()];
        let mut n_found = 0;
        for from in 0..graph.nodes.len() {
            if marks[from] != Mark::New {
                continue;
            }
            marks[from] = Mark::OnPath;
            let mut path: Vec<(usize, usize)> = vec![(from, 0)];
            while let Some((at, edge)) = path.last().copied() {
                let Some(target) = graph.nodes[at].edges.get(edge) else {
                    marks[at] = Mark::Done;
                    path.pop();
                    continue;
                };
                if let Some(last) = path.last_mut() {
                    last.1 += 1;
                }
                match target.to.map(|to| (to, marks[to])) {
                    Some((to, Mark::New)) => {
                        marks[to] = Mark::OnPath;
                        path.push((to, 0));
                    }
                    Some((to, Mark::OnPath)) if n_found < CYCLES_MAX => {
                        n_found += 1;
                        self.push_cycle(graph, &path, to, target.span);
                    }
                    Some((_, Mark::OnPath | Mark::Done)) | None => {}
                }
            }
        }
    }

    fn push_cycle(&self, graph: &Graph<'_>, path: &[(usize, usize)], to: usize, span: Span) {
        let begin = path.iter().position(|(at, _)| *at == to).unwrap_or(0);
        let circle = &path[begin..];
        let mut names: Vec<&str> =
            circle.iter().take(CYCLE_NAMES_MAX).map(|(at, _)| graph.nodes[*at].name.as_str()).collect();
        if circle.len() > CYCLE_NAMES_MAX {
            names.push("…");
        }
        names.push(&graph.nodes[to].name);
        let message = say!("nodes lead in a circle: {}", names.join(" → "));
        let fault = Fault::new(Code::Cycle, span, message);
        self.push(fault.hint(say!(
            "an instance runs each node once: end one of these edges elsewhere, or let an action repeat by retry-times"
        )));
    }
}

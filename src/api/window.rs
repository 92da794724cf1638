//! Windows on the nodes of an instance or a definition: which of them one answer carries, and where the next begins.
//!
//! An answer has to fit a message of the link however many nodes there are, so it is bounded in rows and in bytes.
//! Windows in the order of the definition, one after the other, hold every node and every edge once. Start at
//! `Outline::choose`, then `Choice::fill`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::state::NodeWord;
use crate::say;

use super::error::{ApiError, ErrorCode};
use super::page::encoded_bytes;

/// Most nodes of one window; more is refused, not cut.
pub const NODES_MAX: u32 = 500;
/// Nodes and edges of one window end here, whatever the limit.
const BYTES_MAX: usize = 2 * 1024 * 1024;
/// Ways out of a node, and into it, that a window around another one goes.
const WAYS_MAX: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeWindow {
    /// 1 to `NODES_MAX`.
    pub limit: u32,
    /// `nodes_next` of the window before; opaque.
    pub cursor: Option<String>,
    pub pick: NodePick,
    pub order: NodeOrder,
    /// One more node, wherever it is: `focus` of the answer.
    pub focus: Focus,
}

impl Default for NodeWindow {
    fn default() -> Self {
        Self { limit: NODES_MAX, cursor: None, pick: NodePick::All, order: NodeOrder::Definition, focus: Focus::None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodePick {
    #[default]
    All,
    /// In any of these states.
    States(Vec<NodeWord>),
    /// Those that have had an attempt.
    Begun,
    /// By name; a name that does not exist is left out.
    Named(Vec<String>),
    /// The node of this name and those nearest to it; edges between them alone.
    Around(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOrder {
    #[default]
    Definition,
    /// What needs a look first: failures, then what runs, waits for a worker, waits for others, is done.
    Urgency,
}

impl NodeOrder {
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "definition" => Some(NodeOrder::Definition),
            "urgency" => Some(NodeOrder::Urgency),
            _ => None,
        }
    }

    fn rank(self, word: NodeWord) -> u8 {
        if self == NodeOrder::Definition {
            return 0;
        }
        match word {
            NodeWord::Failed | NodeWord::TimedOut | NodeWord::Lost => 0,
            NodeWord::Retrying => 1,
            NodeWord::Running | NodeWord::Dispatched => 2,
            NodeWord::Queued | NodeWord::Paused => 3,
            NodeWord::Waiting => 4,
            NodeWord::Killed => 5,
            NodeWord::Succeeded | NodeWord::Skipped | NodeWord::UpstreamFailed => 6,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Focus {
    #[default]
    None,
    Named(String),
    /// What one would look at first: a failure, what runs, what ended last.
    First,
}

/// Edges of a node of a window around another one that lead out of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOut {
    pub node: String,
    /// Edges into it from nodes that are not shown.
    pub before: u32,
    /// Edges from it to nodes that are not shown.
    pub after: u32,
}

/// Where a window ended: behind this node, or behind so many of its edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeCursor {
    rank: u8,
    node: u32,
    edges: Option<u32>,
}

impl NodeCursor {
    /// Behind a node, for a reader that shows less than it was given.
    pub fn behind(order: NodeOrder, word: NodeWord, node: u32) -> Self {
        Self { rank: order.rank(word), node, edges: None }
    }
}

impl fmt::Display for NodeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rank, self.node)?;
        self.edges.map_or(Ok(()), |edges| write!(f, ".{edges}"))
    }
}

impl FromStr for NodeCursor {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let bad = || ApiError::new(ErrorCode::BadRequest, say!("the cursor of the nodes is not one that was given"));
        let mut parts = text.split('.');
        let mut number = || parts.next().map(str::parse::<u32>).transpose().map_err(|_| bad());
        let (Some(rank), Some(node), edges) = (number()?, number()?, number()?) else { return Err(bad()) };
        let rank = u8::try_from(rank).map_err(|_| bad())?;
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self { rank, node, edges })
    }
}

/// All nodes, as far as a choice among them needs: in the order of the definition.
pub struct Outline<'a> {
    pub names: Vec<&'a str>,
    /// Of a definition: all `waiting`.
    pub words: Vec<NodeWord>,
    /// Has it had an attempt? Of a definition: empty.
    pub begun: Vec<bool>,
    /// From and to, in the order of the definition.
    pub edges: Vec<(u32, u32)>,
}

/// The nodes of a window, not yet cut to its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    order: NodeOrder,
    /// Behind some of a node's edges: the others come first.
    rest: Option<NodeCursor>,
    rows: Vec<(u8, u32)>,
    has_more: bool,
    /// Edges by the node that they leave.
    out: Vec<Vec<u32>>,
    pub left_out: Vec<LeftOut>,
}

/// What a window carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled<N, E> {
    pub nodes: Vec<N>,
    pub edges: Vec<E>,
    /// `None`: nothing comes after.
    pub next: Option<NodeCursor>,
}

impl Outline<'_> {
    pub fn choose(&self, window: &NodeWindow) -> Result<Choice, ApiError> {
        if !(1..=NODES_MAX).contains(&window.limit) {
            let detail = say!("the limit of nodes must be 1 to {}, not {}", NODES_MAX, window.limit);
            return Err(ApiError::new(ErrorCode::BadRequest, detail));
        }
        if let NodePick::Around(name) = &window.pick {
            return self.around(name, window.limit as usize);
        }
        let cursor = window.cursor.as_deref().map(NodeCursor::from_str).transpose()?;
        let order = window.order;
        let is_after = |row: &(u8, u32)| cursor.is_none_or(|cursor| *row > (cursor.rank, cursor.node));
        let is_picked = |at: usize| match &window.pick {
            NodePick::All | NodePick::Around(_) => true,
            NodePick::States(states) => states.contains(&self.words[at]),
            NodePick::Begun => self.begun.get(at).copied().unwrap_or(false),
            NodePick::Named(names) => names.iter().any(|name| name == self.names[at]),
        };
        let ranked = (0..self.names.len()).filter(|at| is_picked(*at));
        let ranked = ranked.map(|at| (order.rank(self.words[at]), at as u32));
        let mut rows: Vec<(u8, u32)> = ranked.filter(is_after).collect();
        rows.sort_unstable();
        let has_more = rows.len() > window.limit as usize;
        rows.truncate(window.limit as usize);
        let rest = cursor.filter(|cursor| cursor.edges.is_some() && (cursor.node as usize) < self.names.len());
        Ok(Choice { order, rest, rows, has_more, out: self.out(), left_out: Vec::new() })
    }

    /// Breadth first both ways, few ways at each node: a fork of thousands does not crowd out all else.
    fn around(&self, name: &str, limit: usize) -> Result<Choice, ApiError> {
        let Some(centre) = self.names.iter().position(|known| *known == name) else {
            return Err(ApiError::new(ErrorCode::NodeNotFound, say!("there is no node \"{}\"", name)));
        };
        let (out, into) = (self.out(), self.into());
        let mut chosen = BTreeMap::from([(centre as u32, LeftOut { node: String::new(), before: 0, after: 0 })]);
        let mut queue = VecDeque::from([centre as u32]);
        while let Some(at) = queue.pop_front() {
            let after = out[at as usize].iter().take(WAYS_MAX).map(|edge| self.edges[*edge as usize].1);
            let before = into[at as usize].iter().take(WAYS_MAX).map(|edge| self.edges[*edge as usize].0);
            for next in before.chain(after) {
                if chosen.len() < limit && !chosen.contains_key(&next) {
                    chosen.insert(next, LeftOut { node: String::new(), before: 0, after: 0 });
                    queue.push_back(next);
                }
            }
        }
        let mut kept: Vec<Vec<u32>> = vec![Vec::new(); self.names.len()];
        let nodes: Vec<u32> = chosen.keys().copied().collect();
        for at in &nodes {
            let is_inside = |edge: &&u32| chosen.contains_key(&self.edges[**edge as usize].1);
            kept[*at as usize] = out[*at as usize].iter().filter(is_inside).copied().collect();
            let after = out[*at as usize].len() - kept[*at as usize].len();
            let known = into[*at as usize].iter().filter(|edge| chosen.contains_key(&self.edges[**edge as usize].0));
            let before = into[*at as usize].len() - known.count();
            let node = self.names[*at as usize].to_owned();
            chosen.insert(*at, LeftOut { node, before: before as u32, after: after as u32 });
        }
        let left_out = chosen.into_values().filter(|left| left.before + left.after > 0).collect();
        let rows = nodes.into_iter().map(|at| (0, at)).collect();
        Ok(Choice { order: NodeOrder::Definition, rest: None, rows, has_more: false, out: kept, left_out })
    }

    fn out(&self) -> Vec<Vec<u32>> {
        let mut out = vec![Vec::new(); self.names.len()];
        self.edges.iter().enumerate().for_each(|(at, (from, _))| out[*from as usize].push(at as u32));
        out
    }

    fn into(&self) -> Vec<Vec<u32>> {
        let mut into = vec![Vec::new(); self.names.len()];
        self.edges.iter().enumerate().for_each(|(at, (_, to))| into[*to as usize].push(at as u32));
        into
    }
}

impl Choice {
    /// Makes the views until the window is full; `node` and `edge` get positions in the definition.
    pub fn fill<N: Serialize, E: Serialize>(
        &self,
        mut node: impl FnMut(usize) -> N,
        mut edge: impl FnMut(usize) -> E,
    ) -> Filled<N, E> {
        let mut filled = Filled { nodes: Vec::new(), edges: Vec::new(), next: None };
        let mut bytes = 0;
        let rest = self.rest.map(|cursor| (cursor.rank, cursor.node, cursor.edges));
        let rows = self.rows.iter().map(|(rank, at)| (*rank, *at, None));
        let mut last = None;
        for (rank, at, given) in rest.into_iter().chain(rows) {
            let behind = |edges| Some(NodeCursor { rank, node: at, edges });
            if given.is_none() {
                let view = node(at as usize);
                bytes += encoded_bytes(&view);
                if bytes > BYTES_MAX && last.is_some() {
                    filled.next = last;
                    return filled;
                }
                filled.nodes.push(view);
            }
            let given = given.unwrap_or(0);
            for (position, n_given) in self.out[at as usize].iter().zip(0u32..).skip(given as usize) {
                let view = edge(*position as usize);
                bytes += encoded_bytes(&view);
                if bytes > BYTES_MAX && !(filled.nodes.is_empty() && filled.edges.is_empty()) {
                    filled.next = behind(Some(n_given));
                    return filled;
                }
                filled.edges.push(view);
            }
            last = behind(None);
        }
        filled.next = last.filter(|_| self.has_more);
        filled
    }

    /// Positions of the nodes that `fill` may ask for.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        let rest = self.rest.map(|cursor| cursor.node as usize);
        rest.into_iter().chain(self.rows.iter().map(|(_, at)| *at as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain with a fork of `branches` in its middle and a join behind it.
    fn outline(names: &[String], branches: usize) -> Outline<'_> {
        let n = names.len() as u32;
        let (fork, join) = (1, 2 + branches as u32);
        let mut edges = vec![(0, 1)];
        edges.extend((2..join).map(|at| (fork, at)));
        edges.extend((2..join).map(|at| (at, join)));
        edges.extend((join..n - 1).map(|at| (at, at + 1)));
        let words = vec![NodeWord::Succeeded; n as usize];
        Outline { names: names.iter().map(String::as_str).collect(), words, begun: Vec::new(), edges }
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|at| format!("n{at}")).collect()
    }

    type Walked = (Vec<usize>, Vec<usize>, usize);

    /// All windows one after the other: nodes, edges, and how many windows there were.
    fn walk(outline: &Outline<'_>, mut window: NodeWindow, node_bytes: usize) -> Walked {
        let (mut nodes, mut edges, mut n_windows) = (Vec::new(), Vec::new(), 0);
        loop {
            let choice = outline.choose(&window).unwrap();
            let text = "x".repeat(node_bytes);
            let filled = choice.fill(|at| (at, text.as_str()), |at| (at, text.as_str()));
            assert!(filled.nodes.len() <= window.limit as usize);
            let size: usize = filled.nodes.iter().chain(&filled.edges).map(encoded_bytes).sum();
            assert!(size <= BYTES_MAX || filled.nodes.len() + filled.edges.len() == 1, "{size}");
            nodes.extend(filled.nodes.into_iter().map(|(at, _)| at));
            edges.extend(filled.edges.into_iter().map(|(at, _)| at));
            n_windows += 1;
            match filled.next {
                Some(next) => window.cursor = Some(next.to_string()),
                None => return (nodes, edges, n_windows),
            }
        }
    }

    #[test]
    fn windows_in_order_hold_every_node_and_edge_once() {
        let names = names(1_300);
        let outline = outline(&names, 1_000);
        for (limit, bytes) in [(500, 10), (7, 10), (500, 9_000), (3, 700_000)] {
            let window = NodeWindow { limit, ..NodeWindow::default() };
            let (nodes, mut edges, n_windows) = walk(&outline, window, bytes);
            assert_eq!(nodes, (0..1_300).collect::<Vec<_>>(), "by {limit}, {bytes} bytes each");
            edges.sort_unstable();
            assert_eq!(edges, (0..outline.edges.len()).collect::<Vec<_>>());
            assert!(n_windows >= 1_300 / limit as usize, "{n_windows}");
        }
    }

    #[test]
    fn what_needs_a_look_comes_first_and_states_can_be_picked() {
        let names = names(20);
        let mut outline = outline(&names, 3);
        outline.words[13] = NodeWord::Failed;
        outline.words[7] = NodeWord::Running;
        outline.words[19] = NodeWord::Failed;
        let urgent = NodeWindow { order: NodeOrder::Urgency, limit: 2, ..NodeWindow::default() };
        let (nodes, _, _) = walk(&outline, urgent, 1);
        assert_eq!(nodes[..5], [13, 19, 7, 0, 1]);
        assert_eq!(nodes.len(), 20);
        let failed = NodeWindow { pick: NodePick::States(vec![NodeWord::Failed]), ..NodeWindow::default() };
        assert_eq!(walk(&outline, failed, 1).0, [13, 19]);
        let named = ["n7", "nobody", "n3"].map(str::to_owned).to_vec();
        assert_eq!(walk(&outline, NodeWindow { pick: NodePick::Named(named), ..NodeWindow::default() }, 1).0, [3, 7]);
    }

    #[test]
    fn a_window_around_a_node_stays_small_at_a_wide_fork_and_counts_what_it_leaves_out() {
        let names = names(10_100);
        let outline = outline(&names, 10_000);
        let pick = NodePick::Around("n5000".to_owned());
        let choice = outline.choose(&NodeWindow { limit: 60, pick, ..NodeWindow::default() }).unwrap();
        let filled = choice.fill(|at| at, |at| outline.edges[at]);
        assert_eq!(filled.nodes.len(), 60);
        assert!([0, 1, 2, 5_000, 10_002, 10_003].iter().all(|at| filled.nodes.contains(at)), "{:?}", filled.nodes);
        let is_inside = |at: &u32| filled.nodes.contains(&(*at as usize));
        assert!(filled.edges.iter().all(|(from, to)| is_inside(from) && is_inside(to)));
        let fork = choice.left_out.iter().find(|left| left.node == "n1").unwrap();
        let drawn = filled.edges.iter().filter(|(from, _)| *from == 1).count();
        assert_eq!((fork.before, fork.after as usize), (0, 10_000 - drawn));
        assert!(filled.next.is_none());
    }

    #[test]
    fn wrong_limits_cursors_and_names_are_refused() {
        let names = names(20);
        let outline = outline(&names, 3);
        let refused = |window: NodeWindow| outline.choose(&window).unwrap_err().code;
        for limit in [0, NODES_MAX + 1] {
            assert_eq!(refused(NodeWindow { limit, ..NodeWindow::default() }), ErrorCode::BadRequest);
        }
        for cursor in ["", "1", "x.1", "1.2.3.4", "300.1", "0.-1", "1..2"] {
            let window = NodeWindow { cursor: Some(cursor.to_owned()), ..NodeWindow::default() };
            assert_eq!(refused(window), ErrorCode::BadRequest, "{cursor}");
        }
        let far = NodeWindow { cursor: Some("0.99999.4".to_owned()), ..NodeWindow::default() };
        assert_eq!(walk(&outline, far, 1), (Vec::new(), Vec::new(), 1));
        let pick = NodePick::Around("nobody".to_owned());
        assert_eq!(refused(NodeWindow { pick, ..NodeWindow::default() }), ErrorCode::NodeNotFound);
    }
}

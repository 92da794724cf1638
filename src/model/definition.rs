//! A workflow as its author means it: validated, typed, independent of XML.
//!
//! A `Definition` is legal by construction of the XML reader: one start, reachable ends, no cycle, every edge
//! points at a node. It is replicated as it is, so followers need no parser.

use serde::{Deserialize, Serialize};

use super::action::ActionBody;
use super::id::{EdgeIndex, NodeIndex, NodeName, WorkflowName};
use super::parameter::{ParamDeclaration, Template};
use super::policy::{ActionPolicy, KillResult, MailLevel, OnDelete};
use super::schedule::Zone;
use super::trigger::Coordinator;

/// Most nodes in one definition.
pub const NODES_MAX: usize = 20_000;

/// Most outputs of a node, and of an instance.
pub const OUTPUTS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub name: WorkflowName,
    pub description: Option<String>,
    pub creator: String,
    pub owner: Option<String>,
    pub tags: Vec<String>,
    /// Markdown shown on the page.
    pub doc: Option<String>,
    /// Path in the tree of workflows, normalised: `/dw/orders`.
    pub dir: String,
    /// `create-time` as written.
    pub create_time: Option<String>,
    pub mail_levels: Vec<MailLevel>,
    pub mail_receivers: Vec<String>,
    pub is_strict: bool,
    /// Live instances that run at once.
    pub instance_limit: u32,
    pub zone: Option<Zone>,
    pub on_delete: Option<OnDelete>,
    pub compat: Vec<Compat>,
    pub coordinator: Option<Coordinator>,
    pub params: Vec<ParamDeclaration>,
    pub env: Vec<EnvEntry>,
    pub outputs: Vec<OutputDeclaration>,
    /// In document order.
    pub nodes: Vec<Node>,
    /// In the order start, then per node in document order; fork paths in path order.
    pub edges: Vec<Edge>,
    pub start: NodeIndex,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: NodeName,
    pub description: Option<String>,
    pub kind: NodeKind,
    /// Line of the element in the file, from 1, for messages.
    pub line: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    Start,
    End,
    Fork,
    Join,
    Kill {
        message: Option<Template>,
        result: KillResult,
        /// A `result` that holds `${…}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        late_result: Option<Template>,
    },
    Action(Box<Action>),
}

impl NodeKind {
    /// The word shown for the type: the element's name, for actions the type element's.
    pub fn word(&self) -> &str {
        match self {
            NodeKind::Start => "start",
            NodeKind::End => "end",
            NodeKind::Fork => "fork",
            NodeKind::Join => "join",
            NodeKind::Kill { .. } => "kill",
            NodeKind::Action(action) => &action.body.word,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub body: ActionBody,
    /// With the constants of the file; attributes in `late` still have their default here.
    pub policy: ActionPolicy,
    /// Policy attributes that hold `${…}`: rendered at creation and read by `ActionPolicy::set`.
    pub late: Vec<(String, Template)>,
    pub env: Vec<EnvEntry>,
}

/// `<env name value/>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvEntry {
    pub name: String,
    pub value: Template,
}

/// `<output name value/>` under the root, resolved when the instance succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDeclaration {
    pub name: String,
    pub value: Template,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub from: NodeIndex,
    pub to: NodeIndex,
    pub kind: EdgeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// From start.
    Start,
    ForkPath,
    /// From a join.
    Join,
    Ok,
    Error,
}

/// Opt-ins to akkaflow's behaviour (`compat="…"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    ScriptTrim,
    UndefinedParam,
    Splice,
    WallClock,
    WeekIsDay,
}

impl Compat {
    pub const WORDS: &'static [&'static str] =
        &["script-trim", "undefined-param", "splice", "wall-clock", "week-is-day"];

    pub fn word(self) -> &'static str {
        match self {
            Compat::ScriptTrim => "script-trim",
            Compat::UndefinedParam => "undefined-param",
            Compat::Splice => "splice",
            Compat::WallClock => "wall-clock",
            Compat::WeekIsDay => "week-is-day",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "script-trim" => Compat::ScriptTrim,
            "undefined-param" => Compat::UndefinedParam,
            "splice" => Compat::Splice,
            "wall-clock" => Compat::WallClock,
            "week-is-day" => Compat::WeekIsDay,
            _ => return None,
        })
    }
}

impl Definition {
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.at()]
    }

    pub fn node_named(&self, name: &str) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.name.as_str() == name).map(|at| NodeIndex(at as u32))
    }

    pub fn edges_from(&self, node: NodeIndex) -> impl Iterator<Item = (EdgeIndex, &Edge)> {
        self.edges
            .iter()
            .enumerate()
            .filter(move |(_, edge)| edge.from == node)
            .map(|(at, edge)| (EdgeIndex(at as u32), edge))
    }

    pub fn edges_into(&self, node: NodeIndex) -> impl Iterator<Item = (EdgeIndex, &Edge)> {
        self.edges
            .iter()
            .enumerate()
            .filter(move |(_, edge)| edge.to == node)
            .map(|(at, edge)| (EdgeIndex(at as u32), edge))
    }
}

//! The walk through a running instance: which node is next, what its end means, when the instance is over.
//!
//! Nothing here remembers where it was: what is left to do derives from edges and records, so a walk cut at the
//! bound of events goes on at the next tick, under any leader.

use crate::model::definition::{EdgeKind, NodeKind};
use crate::model::id::{InstanceNumber, NodeIndex};
use crate::model::message::Message;
use crate::model::policy::KillResult;
use crate::say;

use super::engine::Step;
use super::event::{EventKind, NodeRef};
use super::render::{Run, node_inputs};
use super::state::{
    Instance, InstanceEnd, Node, NodeEnd, NodeReason, NodeState, RerunPlan, SkipReason, Stop, StopReason, Version,
};

impl Step<'_> {
    /// Takes an instance as far as it can go now. False: more is left than the bound allows.
    pub(super) fn advance(&mut self, number: InstanceNumber) -> bool {
        loop {
            if self.is_full() {
                return false;
            }
            let Some(head) = self.state.instances.get(&number).filter(|head| head.is_started()) else { return true };
            if head.verdict.is_some() {
                return self.stop_nodes(number);
            }
            let Some(walk) = self.state.derived.walks.get(&number) else { return true };
            if let Some(node) = walk.actionable.first().copied() {
                self.decide(number, node);
            } else if walk.live.is_empty() {
                let dead = self.last_dead(number);
                self.finish(number, InstanceEnd::Failed, Some(StopReason::NoEnd { dead }));
            } else {
                return true;
            }
        }
    }

    /// A node whose way in is decided.
    fn decide(&mut self, number: InstanceNumber, at: NodeIndex) {
        let Some(head) = self.state.instances.get(&number).cloned() else { return };
        let Some(version) = self.state.version_of(&head).cloned() else { return };
        let id = head.node_ref(at);
        let node = version.definition().node(at);
        let arrivals = self
            .state
            .derived
            .walks
            .get(&number)
            .and_then(|walk| walk.arrivals.get(at.at()))
            .copied()
            .unwrap_or_default();
        if arrivals.taken == 0 && !matches!(node.kind, NodeKind::Start) {
            let end =
                if arrivals.failed > 0 { NodeEnd::UpstreamFailed } else { NodeEnd::Skipped(SkipReason::NotReached) };
            return self.end_node(id, end, NodeReason::NotReached, Vec::new(), false);
        }
        match &node.kind {
            NodeKind::Start | NodeKind::Fork | NodeKind::Join => {
                self.end_node(id, NodeEnd::Succeeded, NodeReason::Passed, Vec::new(), false);
            }
            NodeKind::End => {
                self.end_node(id, NodeEnd::Succeeded, NodeReason::Passed, Vec::new(), false);
                let reason = StopReason::EndReached { node: node.name.clone() };
                self.stop_instance(number, InstanceEnd::Succeeded, reason);
            }
            NodeKind::Kill { message, result, late_result } => {
                self.end_node(id, NodeEnd::Succeeded, NodeReason::Passed, Vec::new(), false);
                let run = Run::new(self.state, self.settings, &head, &version);
                let message = message.as_ref().map(|message| Message::verbatim(run.message(message)));
                let (result, message) = match late_result.as_ref().map(|late| run.kill_result(late)) {
                    None => (*result, message),
                    Some(Ok(result)) => (result, message),
                    // The way led here because something went wrong.
                    Some(Err(fault)) => (KillResult::Failed, Some(fault)),
                };
                let end = match result {
                    KillResult::Killed => InstanceEnd::Killed,
                    KillResult::Failed => InstanceEnd::Failed,
                };
                self.stop_instance(number, end, StopReason::KillNode { node: node.name.clone(), message });
            }
            NodeKind::Action(action) => {
                if let Some((end, reason, outputs)) = self.kept(&head, &version, at) {
                    return self.end_node(id, end, reason, outputs, false);
                }
                let run = Run::new(self.state, self.settings, &head, &version);
                let policy = match run.policy(action) {
                    Ok(policy) => policy,
                    Err(message) => {
                        let reason = NodeReason::Inputs { message };
                        return self.end_node(id, NodeEnd::Failed, reason, Vec::new(), false);
                    }
                };
                let is_ignored = policy.as_deref().unwrap_or(&action.policy).is_ignore;
                if is_ignored || head.skipped.contains(&node.name) {
                    let end = NodeEnd::Skipped(SkipReason::Ignored);
                    return self.end_node(id, end, NodeReason::Ignored, Vec::new(), false);
                }
                if !action.body.is_built {
                    let reason = NodeReason::NotBuilt { what: say!("action type {}", action.body.word) };
                    return self.end_node(id, NodeEnd::Failed, reason, Vec::new(), false);
                }
                let inputs = node_inputs(self.state, &head, &version, action);
                self.emit(EventKind::NodeQueued { node: id, inputs, policy });
            }
        }
    }

    /// What a rerun keeps of a node from the generation before.
    fn kept(
        &mut self,
        head: &Instance,
        version: &Version,
        at: NodeIndex,
    ) -> Option<(NodeEnd, NodeReason, Vec<(String, String)>)> {
        let generation = head.generation();
        let definition = version.definition();
        let name = &definition.node(at).name;
        let is_only = match &generation.plan {
            RerunPlan::All => return None,
            RerunPlan::FromFailed => false,
            RerunPlan::Only { node } if node == name => return None,
            RerunPlan::Only { .. } => true,
            RerunPlan::From { node } => {
                let from = definition.node_named(node.as_str())?;
                let graph = self.state.derived.graph(&version.workflow, version.number)?.clone();
                let behind = self
                    .live
                    .behind
                    .entry((head.number, generation.number))
                    .or_insert_with(|| graph.behind(definition, from));
                if behind.contains(&at) {
                    return None;
                }
                false
            }
        };
        let before = head.generations.len().checked_sub(2).and_then(|at| head.generations.get(at))?;
        let old = self.state.version(&head.workflow, before.version)?;
        let old_at = old.definition().node_named(name.as_str());
        let record = old_at
            .and_then(|node| self.state.nodes.get(&NodeRef { instance: head.number, generation: before.number, node }));
        let end = record.and_then(|record| match &record.state {
            NodeState::Done { end, .. } => Some((*end, record)),
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Lost { .. } => None,
        });
        let has_error_edge = definition.edges_from(at).any(|(_, edge)| edge.kind == EdgeKind::Error);
        let reason = NodeReason::Kept { generation: before.number };
        match end {
            Some((
                end @ (NodeEnd::Succeeded | NodeEnd::Skipped(SkipReason::Ignored | SkipReason::Operator)),
                record,
            )) => Some((end, reason, record.outputs.clone())),
            // A failure that was handled by its error edge is how the run went.
            Some((end @ (NodeEnd::Failed | NodeEnd::TimedOut), record)) if is_only && has_error_edge => {
                Some((end, reason, record.outputs.clone()))
            }
            Some(_) | None if is_only => {
                Some((NodeEnd::Skipped(SkipReason::Operator), NodeReason::LeftOut, Vec::new()))
            }
            Some(_) | None => None,
        }
    }

    /// Ends a node that has no live attempt, and the instance with it when nothing handles a failure.
    pub(super) fn end_node(
        &mut self,
        id: NodeRef,
        end: NodeEnd,
        reason: NodeReason,
        outputs: Vec<(String, String)>,
        forced: bool,
    ) {
        self.emit(EventKind::NodeFinished { node: id, end, reason, outputs, forced });
        let Some(head) = self.state.instances.get(&id.instance).filter(|head| head.verdict.is_none()) else { return };
        let Some(version) = self.state.version_of(head).cloned() else { return };
        match end {
            NodeEnd::Failed | NodeEnd::TimedOut => {
                let is_handled = version.definition().edges_from(id.node).any(|(_, e)| e.kind == EdgeKind::Error);
                if !is_handled {
                    let node = version.definition().node(id.node).name.clone();
                    self.stop_instance(id.instance, InstanceEnd::Failed, StopReason::NodeFailed { node });
                }
            }
            NodeEnd::Succeeded | NodeEnd::Killed | NodeEnd::Skipped(_) | NodeEnd::UpstreamFailed => {}
        }
    }

    /// Stops what lives of an instance whose verdict is known; finishes it when nothing does.
    fn stop_nodes(&mut self, number: InstanceNumber) -> bool {
        let verdict = self.state.instances.get(&number).and_then(|head| head.verdict.as_ref());
        let Some((end, grace)) = verdict.map(|verdict| (verdict.end, verdict.grace)) else { return true };
        let from = self.live.agenda.stopping.get(&number).copied().unwrap_or(NodeIndex(0));
        let live: Vec<NodeIndex> = self
            .state
            .derived
            .walks
            .get(&number)
            .map(|walk| walk.live.range(from..).copied().collect())
            .unwrap_or_default();
        for at in live {
            if self.is_full() {
                self.live.agenda.stopping.insert(number, at);
                return false;
            }
            let Some(head) = self.state.instances.get(&number) else { return true };
            let id = head.node_ref(at);
            let reason = NodeReason::InstanceEnded { end };
            let Some(node) = self.state.nodes.get(&id) else { continue };
            match node.live_attempt().map(|attempt| id.attempt(attempt.number)) {
                Some(attempt) => match node.stop.clone() {
                    None => {
                        let stop = Stop { end: NodeEnd::Killed, reason, at: self.at, grace };
                        self.stop_attempt(attempt, stop, "the instance ended");
                    }
                    // It is being stopped already: a kill that waits less hastens that, and changes nothing else.
                    Some(stop) if self.kill_grace(grace) < self.kill_grace(stop.grace) => {
                        self.stop_attempt(attempt, Stop { grace, ..stop }, "the kill is hastened");
                    }
                    Some(_) => {}
                },
                None => self.emit(EventKind::NodeFinished {
                    node: id,
                    end: NodeEnd::Killed,
                    reason,
                    outputs: Vec::new(),
                    forced: false,
                }),
            }
        }
        self.live.agenda.stopping.insert(number, NodeIndex(u32::MAX));
        let is_down = self.state.derived.walks.get(&number).is_none_or(|walk| walk.live.is_empty());
        if is_down {
            let verdict = self.state.instances.get(&number).and_then(|head| head.verdict.clone());
            if let Some(verdict) = verdict {
                self.finish(number, verdict.end, Some(verdict.reason));
            }
        }
        true
    }

    /// The end of an instance, and what it means to others.
    pub(super) fn finish(&mut self, number: InstanceNumber, end: InstanceEnd, reason: Option<StopReason>) {
        let Some(head) = self.state.instances.get(&number).cloned() else { return };
        let (end, reason, outputs) = match end {
            InstanceEnd::Succeeded => match self.outputs_of(&head) {
                Ok(outputs) => (end, reason, outputs),
                Err(message) => (InstanceEnd::Failed, Some(StopReason::OutputFault { message }), Vec::new()),
            },
            InstanceEnd::Failed | InstanceEnd::Killed => (end, reason, Vec::new()),
        };
        self.emit(EventKind::InstanceFinished { instance: number, end, reason, outputs });
        if end == InstanceEnd::Succeeded {
            self.announce(&head);
        }
        self.owe_end(&head, end);
        if let Some(closure) = head.closure {
            self.follow_closure(closure, &head, end);
        }
    }

    fn outputs_of(&self, head: &Instance) -> Result<Vec<(String, String)>, Message> {
        let Some(version) = self.state.version_of(head) else { return Ok(Vec::new()) };
        if version.definition().outputs.is_empty() {
            return Ok(Vec::new());
        }
        Run::new(self.state, self.settings, head, version).instance_outputs()
    }

    /// For "no end reached": a node that nothing could reach.
    fn last_dead(&self, number: InstanceNumber) -> Option<crate::model::id::NodeName> {
        let head = self.state.instances.get(&number)?;
        let is_dead = |node: &&Node| match &node.state {
            NodeState::Done { end, .. } => {
                matches!(end, NodeEnd::Skipped(SkipReason::NotReached) | NodeEnd::UpstreamFailed)
            }
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Lost { .. } => false,
        };
        let node = self.state.nodes_of(number, head.generation().number).find(is_dead)?;
        self.state.node_name(node.id)
    }
}

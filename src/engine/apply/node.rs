//! Events of nodes and attempts. See docs/states.md for the diagrams that these checks draw.

use crate::model::assignment::Outcome;
use crate::model::definition::EdgeKind;
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, WorkerId};
use crate::model::parameter::Value;
use crate::model::policy::ActionPolicy;
use crate::model::time::Timestamp;

use super::super::event::NodeRef;
use super::super::state::{
    Attempt, AttemptEnd, AttemptState, Cause, EdgeState, Node, NodeEnd, NodeReason, NodeState, Owner, SkipReason,
    State, Stop, policy,
};
use super::Illegal;

impl State {
    fn current(&self, id: NodeRef) -> Result<(), Illegal> {
        let head = self.instances.get(&id.instance).ok_or_else(|| Illegal::of(id.instance, "does not exist"))?;
        if head.generation().number != id.generation {
            return Err(Illegal::of(id.instance, format!("generation {} is not current", id.generation)));
        }
        if !head.is_started() {
            return Err(Illegal::of(id.instance, "has not started or is finished"));
        }
        Ok(())
    }

    pub(super) fn node_queued(
        &mut self,
        id: NodeRef,
        inputs: &[(String, Value)],
        policy: Option<&Box<ActionPolicy>>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_node(id, |old| match old {
            Some(node) => Err((Some(node), Illegal::of(id.instance, format!("node {} has begun", id.node)))),
            None => Ok(Node {
                id,
                state: NodeState::Queued { since: at },
                ready: at,
                inputs: inputs.to_vec(),
                policy: policy.cloned(),
                attempts: Vec::new(),
                failures: 0,
                losses: 0,
                deadline: None,
                stop: None,
                outputs: Vec::new(),
                edges: Vec::new(),
            }),
        })
    }

    pub(super) fn node_requeued(&mut self, id: NodeRef, at: Timestamp) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            idle(node, "requeued")?;
            match &node.state {
                NodeState::Retrying { .. }
                | NodeState::Dispatched { .. }
                | NodeState::Running { .. }
                | NodeState::Lost { .. } => {
                    node.state = NodeState::Queued { since: at };
                    Ok(())
                }
                NodeState::Queued { .. } | NodeState::Done { .. } => Err(wrong(node, "requeued")),
            }
        })
    }

    pub(super) fn node_retrying(&mut self, id: NodeRef, until: Timestamp, at: Timestamp) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            idle(node, "retrying")?;
            match &node.state {
                NodeState::Dispatched { .. } | NodeState::Running { .. } | NodeState::Lost { .. } => {
                    node.state = NodeState::Retrying { since: at, until };
                    Ok(())
                }
                NodeState::Queued { .. } | NodeState::Retrying { .. } | NodeState::Done { .. } => {
                    Err(wrong(node, "retrying"))
                }
            }
        })
    }

    pub(super) fn node_stopping(&mut self, id: NodeRef, stop: &Stop) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            if node.live_attempt().is_none() {
                return Err(wrong(node, "stopping without an attempt"));
            }
            node.stop = Some(stop.clone());
            Ok(())
        })
    }

    pub(super) fn node_timeout_passed(&mut self, id: NodeRef) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            node.deadline = None;
            Ok(())
        })
    }

    pub(super) fn node_lost(&mut self, id: NodeRef, asks: bool, unproven: bool, at: Timestamp) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            let has_live = node.live_attempt().is_some();
            // Out of sight: the attempt may live. Asking: it is known to be gone.
            if has_live == asks || (asks && unproven) {
                return Err(wrong(node, "lost"));
            }
            let (number, worker, since) = match &node.state {
                NodeState::Dispatched { number, worker, .. }
                | NodeState::Running { owner: Owner::Worker { number, worker }, .. } => (*number, worker.clone(), at),
                // Out of sight already: since then.
                NodeState::Lost { number, worker, asks: false, since } => {
                    (*number, worker.clone(), if asks { at } else { *since })
                }
                NodeState::Queued { .. }
                | NodeState::Running { .. }
                | NodeState::Retrying { .. }
                | NodeState::Lost { .. }
                | NodeState::Done { .. } => return Err(wrong(node, "lost")),
            };
            node.state = NodeState::Lost { number, worker, since, asks };
            if unproven && let Some(attempt) = node.attempts.last_mut() {
                attempt.is_unproven = true;
            }
            Ok(())
        })
    }

    pub(super) fn node_found(&mut self, id: NodeRef, at: Timestamp) -> Result<(), Illegal> {
        self.current(id)?;
        self.with_record(id, |node| {
            let NodeState::Lost { number, worker, asks: false, .. } = &node.state else {
                return Err(wrong(node, "found"));
            };
            let (number, worker) = (*number, worker.clone());
            if let Some(attempt) = node.attempts.last_mut() {
                attempt.is_unproven = false;
            }
            let is_running = node.attempts.last().is_some_and(|a| matches!(a.state, AttemptState::Running));
            node.state = if is_running {
                NodeState::Running { owner: Owner::Worker { number, worker }, since: at }
            } else {
                NodeState::Dispatched { number, worker, since: at }
            };
            Ok(())
        })
    }

    pub(super) fn node_finished(
        &mut self,
        id: NodeRef,
        end: NodeEnd,
        reason: &NodeReason,
        outputs: &[(String, String)],
        forced: bool,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.current(id)?;
        let head = &self.instances[&id.instance];
        let version =
            self.version_of(head).cloned().ok_or_else(|| Illegal::of(id.instance, "its version does not exist"))?;
        let graph = self
            .derived
            .graph(&head.workflow, head.version())
            .cloned()
            .ok_or_else(|| Illegal::of(id.instance, "its version has no graph"))?;
        if id.node.at() >= version.definition().nodes.len() {
            return Err(Illegal::of(id.instance, format!("has no node {}", id.node)));
        }
        let edges: Vec<EdgeState> = graph.out[id.node.at()]
            .iter()
            .map(|edge| edge_state(version.definition().edges[edge.at()].kind, end))
            .collect();
        let done = NodeState::Done { end, at, reason: reason.clone(), forced };
        self.with_node(id, |old| match old {
            Some(node) if node.is_terminal() => {
                let illegal = wrong(&node, "finished");
                Err((Some(node), illegal))
            }
            Some(node) if node.live_attempt().is_some() => {
                let illegal = wrong(&node, "finished while its attempt lives");
                Err((Some(node), illegal))
            }
            Some(mut node) => {
                node.state = done;
                node.outputs = outputs.to_vec();
                node.edges = edges;
                node.stop = None;
                Ok(node)
            }
            None => Ok(Node {
                id,
                state: done,
                ready: at,
                inputs: Vec::new(),
                policy: None,
                attempts: Vec::new(),
                failures: 0,
                losses: 0,
                deadline: None,
                stop: None,
                outputs: outputs.to_vec(),
                edges,
            }),
        })
    }

    pub(super) fn attempt_dispatched(
        &mut self,
        id: AttemptId,
        worker: &WorkerId,
        lease: Option<Millis>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let node_id = NodeRef::from(id);
        self.current(node_id)?;
        if !self.instances[&id.instance].is_dispatching() {
            return Err(Illegal::of(id.instance, "dispatches nothing now"));
        }
        let to = self.workers.get(worker).ok_or_else(|| Illegal::of(id.instance, format!("no worker {worker}")))?;
        let (slots, worker_boot, epoch) = (to.slots, to.machine_boots, self.cluster.epoch);
        let version = self.version_of(&self.instances[&id.instance]).cloned();
        let weight = self
            .nodes
            .get(&node_id)
            .and_then(|node| version.as_deref().and_then(|version| policy(node, version)))
            .map_or(1, |policy| policy.slots);
        if self.derived.used_slots(worker).saturating_add(weight) > slots {
            return Err(Illegal::of(id.instance, format!("worker {worker} has no slot for node {}", id.node)));
        }
        self.with_record(node_id, |node| {
            if !matches!(node.state, NodeState::Queued { .. }) || node.live_attempt().is_some() {
                return Err(wrong(node, "dispatched"));
            }
            if id.number != node.attempts.last().map_or(1, |attempt| attempt.number + 1) || id.index != 0 {
                return Err(wrong(node, "dispatched out of order"));
            }
            node.attempts.push(Attempt {
                number: id.number,
                index: id.index,
                worker: worker.clone(),
                worker_boot,
                epoch,
                dispatched: at,
                started: None,
                state: AttemptState::Dispatched,
                stale: None,
                lease,
                is_unproven: false,
            });
            node.state = NodeState::Dispatched { number: id.number, worker: worker.clone(), since: at };
            Ok(())
        })
    }

    pub(super) fn attempt_started(&mut self, id: AttemptId, started: Timestamp, at: Timestamp) -> Result<(), Illegal> {
        let node_id = NodeRef::from(id);
        self.current(node_id)?;
        let version = self.version_of(&self.instances[&id.instance]).cloned();
        self.with_record(node_id, |node| {
            let NodeState::Dispatched { number, worker, .. } = &node.state else {
                return Err(wrong(node, "started"));
            };
            if *number != id.number {
                return Err(wrong(node, "started by another attempt"));
            }
            let owner = Owner::Worker { number: *number, worker: worker.clone() };
            let timeout = version.as_deref().and_then(|version| policy(node, version)).and_then(|p| p.timeout);
            let attempt = live(node, id)?;
            attempt.state = AttemptState::Running;
            attempt.started = Some(started);
            node.state = NodeState::Running { owner, since: at };
            if node.deadline.is_none() {
                node.deadline = timeout.map(|timeout| at.plus_ms(timeout.0));
            }
            Ok(())
        })
    }

    pub(super) fn attempt_ended(
        &mut self,
        id: AttemptId,
        end: AttemptEnd,
        outcome: Option<&Outcome>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let node_id = NodeRef::from(id);
        self.current(node_id)?;
        let version = self.version_of(&self.instances[&id.instance]).cloned();
        self.with_record(node_id, |node| {
            let timeout = version.as_deref().and_then(|version| policy(node, version)).and_then(|p| p.timeout);
            let attempt = live(node, id)?;
            // Of a short attempt nothing but the result tells that it has started.
            if let (None, Some(outcome)) = (attempt.started, outcome) {
                attempt.started = Some(outcome.started);
                if node.deadline.is_none() {
                    node.deadline = timeout.map(|timeout| at.plus_ms(timeout.0));
                }
            }
            let attempt = live(node, id)?;
            attempt.state = AttemptState::Ended { end, at, outcome: outcome.cloned() };
            match end {
                AttemptEnd::Failed | AttemptEnd::TimedOut => node.failures += 1,
                AttemptEnd::Lost => node.losses += 1,
                AttemptEnd::Succeeded | AttemptEnd::Killed | AttemptEnd::Declined => {}
            }
            Ok(())
        })
    }

    /// Changes nothing: what was measured is history from the first moment on.
    pub(super) fn measured(&self, id: AttemptId) -> Result<(), Illegal> {
        let known = self.nodes.get(&NodeRef::from(id)).and_then(|node| node.attempt(id.number));
        match known {
            Some(attempt) if !attempt.is_live() => Ok(()),
            Some(_) | None => Err(Illegal::of(id.instance, format!("attempt {id} has not ended and measured nothing"))),
        }
    }

    pub(super) fn result_stale(&mut self, id: AttemptId, outcome: &Outcome) -> Result<(), Illegal> {
        self.with_record(NodeRef::from(id), |node| {
            match node.attempts.iter_mut().find(|attempt| attempt.number == id.number) {
                Some(attempt) if !attempt.is_live() => {
                    attempt.stale = Some(outcome.clone());
                    Ok(())
                }
                Some(_) => Err(wrong(node, "given a stale result for a live attempt")),
                None => Err(wrong(node, "given a result of an attempt that never was")),
            }
        })
    }
}

/// What becomes of an edge when the node it leaves ends.
fn edge_state(kind: EdgeKind, end: NodeEnd) -> EdgeState {
    match (end, kind) {
        (NodeEnd::Succeeded, EdgeKind::Error) => EdgeState::Dead(Cause::NotTaken),
        (NodeEnd::Succeeded, _) => EdgeState::Taken,
        (NodeEnd::Failed | NodeEnd::TimedOut, EdgeKind::Error) => EdgeState::Taken,
        (NodeEnd::Failed | NodeEnd::TimedOut, _) => EdgeState::Dead(Cause::Failed),
        (NodeEnd::Killed, _) => EdgeState::Dead(Cause::Killed),
        (NodeEnd::Skipped(SkipReason::NotReached), _) => EdgeState::Dead(Cause::NotReached),
        (NodeEnd::Skipped(_), EdgeKind::Error) => EdgeState::Dead(Cause::NotTaken),
        (NodeEnd::Skipped(_), _) => EdgeState::Taken,
        (NodeEnd::UpstreamFailed, _) => EdgeState::Dead(Cause::Failed),
    }
}

fn live(node: &mut Node, id: AttemptId) -> Result<&mut Attempt, Illegal> {
    match node.attempts.last_mut() {
        Some(attempt) if attempt.number == id.number && attempt.is_live() => Ok(attempt),
        _ => Err(Illegal::of(id.instance, format!("attempt {id} is not live"))),
    }
}

fn idle(node: &Node, what: &str) -> Result<(), Illegal> {
    if node.live_attempt().is_some() || node.stop.is_some() {
        return Err(wrong(node, what));
    }
    Ok(())
}

fn wrong(node: &Node, what: &str) -> Illegal {
    Illegal::of(node.id.instance, format!("node {} cannot be {what} from {:?}", node.id.node, node.state))
}

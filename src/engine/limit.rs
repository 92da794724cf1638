//! The bounds of the cluster: what is refused, or waits, because there is too much of it.

use crate::model::id::WorkflowName;
use crate::say;

use super::command::Rejected;
use super::engine::Step;
use super::state::State;

impl State {
    /// Instances that are not finished, of all workflows.
    pub fn n_live_instances(&self) -> usize {
        self.derived.n_live
    }
}

impl Step<'_> {
    /// May one more instance be live?
    pub(super) fn has_room(&self) -> bool {
        self.state.n_live_instances() < self.settings.limits.instances_live_max
    }

    pub(super) fn check_room(&self) -> Result<(), Rejected> {
        if self.has_room() {
            return Ok(());
        }
        let n = self.state.n_live_instances();
        Err(Rejected::busy(
            say!("{} instances wait or run in the cluster, as many as limits.instances_live_max allows", n),
            say!("wait until some have ended, kill those that are not needed, or raise limits.instances_live_max"),
        ))
    }

    /// The queue of a workflow is bounded for people and programs too.
    pub(super) fn check_queue(&self, name: &WorkflowName) -> Result<(), Rejected> {
        let version = self.state.current_version(name);
        let coordinator = version.and_then(|version| version.definition().coordinator.as_ref());
        let limit = self.settings.limits.queue_of(coordinator);
        let n_waiting = self.state.derived.n_queued(name) + self.state.derived.n_pending(name);
        let has_place = version
            .is_some_and(|version| self.state.derived.n_started(name) < version.definition().instance_limit as usize);
        // With nothing ahead of it, what has a place does not wait.
        if n_waiting < limit as usize || (n_waiting == 0 && has_place) {
            return Ok(());
        }
        Err(Rejected::busy(
            say!("{} instances of workflow {} wait already", limit, name),
            say!("wait until some have run, or raise queue-limit of the workflow's coordinator or limits.queue_limit"),
        ))
    }

    /// What a caller gives to one run.
    pub(super) fn check_params(&self, params: &[(String, String)]) -> Result<(), Rejected> {
        let limits = &self.settings.limits;
        if params.len() > limits.run_params_max {
            return Err(Rejected::Invalid(say!(
                "{} parameters are given, more than limits.run_params_max allows ({})",
                params.len(),
                limits.run_params_max
            )));
        }
        let bytes: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits.run_params_bytes_max {
            return Err(Rejected::Invalid(say!(
                "the parameters have {} bytes, more than limits.run_params_bytes_max allows ({}); put long values into a file and give its path",
                bytes,
                limits.run_params_bytes_max
            )));
        }
        Ok(())
    }

    /// May there be a workflow of this name? Those that are there may always get a new version.
    pub(super) fn check_new_workflow(&self, name: &WorkflowName) -> Result<(), Rejected> {
        let max = self.settings.limits.workflows_max;
        // Deleted ones are in the map too, so the cheap look comes first.
        let is_full = self.state.workflow(name).is_none()
            && self.state.workflows.len() >= max
            && self.state.workflows.values().filter(|workflow| workflow.removed.is_none()).count() >= max;
        if !is_full {
            return Ok(());
        }
        Err(Rejected::conflict_hint(
            say!("there are {} workflows, as many as limits.workflows_max allows", max),
            say!(
                "delete workflows that are not needed, or raise limits.workflows_max; then `ractorflow workflow apply`"
            ),
        ))
    }

    /// Lets fires that waited for room in the cluster be looked at again, the oldest first.
    pub(super) fn take_held(&mut self) -> bool {
        if !self.has_room() {
            return false;
        }
        match self.live.held.pop_first() {
            Some((_, name)) => self.live.agenda.workflows.insert(name),
            None => false,
        }
    }
}

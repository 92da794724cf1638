//! How often each workflow will still fire by itself until an instant, as far as that can be known now.
//!
//! A workflow that waits for others fires no oftener than the one of them that succeeds least often. Computed from
//! those that wait for nothing on, without recursion: however long the chain, and with circles and prerequisites that
//! do not exist. First `own` of each workflow, which takes its time, then `left` of all together.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::WorkflowName;
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, Subject};

use super::state::State;
use super::upcoming;

/// Fires of a workflow by its own triggers; `None`: only others set it off.
pub type Own = Option<usize>;

/// The fires of a workflow's own triggers after `after` and before `until`, counted up to `max`, and those that are
/// due and wait. `None`: it does not fire by itself.
pub fn own(state: &State, name: &WorkflowName, after: Timestamp, until: Timestamp, max: usize) -> Option<Own> {
    let coordinator = coordinator(state, name)?;
    let count = || (upcoming::count(state, name, after, until, max) + state.derived.n_pending(name)).min(max);
    Some((!coordinator.triggers.is_empty()).then(count))
}

/// The workflow and all that it waits for, directly or not.
pub fn upstream(state: &State, name: &WorkflowName) -> BTreeSet<WorkflowName> {
    let mut found = BTreeSet::from([name.clone()]);
    let mut todo = vec![name.clone()];
    while let Some(next) = todo.pop() {
        let prerequisites = coordinator(state, &next).map(|coordinator| coordinator.prerequisites.as_slice());
        for prerequisite in prerequisites.unwrap_or_default() {
            if found.insert(prerequisite.workflow.clone()) {
                todo.push(prerequisite.workflow.clone());
            }
        }
    }
    found
}

/// What is left of each of these workflows. What they wait for and is not among them does not fire.
pub fn left(state: &State, own: &BTreeMap<WorkflowName, Own>) -> BTreeMap<WorkflowName, usize> {
    let waits_for = |name: &WorkflowName| -> BTreeSet<WorkflowName> {
        let prerequisites = coordinator(state, name).map(|coordinator| coordinator.prerequisites.as_slice());
        prerequisites.unwrap_or_default().iter().map(|prerequisite| prerequisite.workflow.clone()).collect()
    };
    // With the prerequisites whose own number is not known yet.
    let mut open: BTreeMap<&WorkflowName, usize> = BTreeMap::new();
    let mut ready: Vec<&WorkflowName> = Vec::new();
    for name in own.keys() {
        match waits_for(name).iter().filter(|on| own.contains_key(*on)).count() {
            0 => ready.push(name),
            n => drop(open.insert(name, n)),
        }
    }
    let mut counts: BTreeMap<WorkflowName, usize> = BTreeMap::new();
    while let Some(name) = ready.pop() {
        let least = waits_for(name).iter().map(|on| successes(state, name, on, &counts)).min();
        let by_triggers = own.get(name).copied().flatten();
        counts.insert(name.clone(), by_triggers.into_iter().chain(least).min().unwrap_or(0));
        for dependant in state.dependants(name) {
            if let Some((dependant, n)) = open.remove_entry(dependant) {
                match n - 1 {
                    0 => ready.push(dependant),
                    n => drop(open.insert(dependant, n)),
                }
            }
        }
    }
    // Those in a circle, and behind one: none of them ever starts by itself.
    counts.extend(open.into_keys().map(|name| (name.clone(), 0)));
    counts
}

/// How often a prerequisite may still come about for a workflow: it has, by what runs, by what is to come.
fn successes(state: &State, name: &WorkflowName, on: &WorkflowName, counts: &BTreeMap<WorkflowName, usize>) -> usize {
    let is_set = state.latches.contains_key(&(name.clone(), Subject::Workflow(on.clone())));
    let live = state.derived.live_instances.get(on).into_iter().flatten();
    let n_live = live.filter(|number| state.instances.get(number).is_some_and(|head| head.affects)).count();
    usize::from(is_set) + n_live + counts.get(on).copied().unwrap_or(0)
}

/// Of a workflow that fires by itself.
fn coordinator<'a>(state: &'a State, name: &WorkflowName) -> Option<&'a Coordinator> {
    let version = state.current_version(name).filter(|_| state.is_enabled(name))?;
    version.definition().coordinator.as_ref()
}

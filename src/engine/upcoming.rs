//! The future of a workflow: its next fires with their parameters as they will be.

use serde::{Deserialize, Serialize};

use crate::model::id::{TriggerId, WorkflowName};
use crate::model::message::Message;
use crate::model::parameter::Value;
use crate::model::schedule::{business_date, due, next_fire};
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Kind, Occurrence};

use super::command::Rejected;
use super::instance::Birth;
use super::render::Run;
use super::settings::Settings;
use super::state::State;
use super::trigger::effective;

/// Most fires shown at once.
const FIRES_MAX: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    pub trigger: TriggerId,
    pub nominal: Timestamp,
    pub due: Timestamp,
    pub business_date: CivilDate,
    pub zone: String,
    /// Or why they cannot be resolved.
    pub params: Result<Vec<(String, Value)>, Message>,
    /// It fires only if these have come about by then.
    pub prerequisites: Vec<WorkflowName>,
}

/// The next `n` fires, by all triggers together. Of a disabled workflow: those it would have.
pub fn upcoming(
    state: &State,
    settings: &Settings,
    name: &WorkflowName,
    after: Timestamp,
    n: usize,
) -> Result<Vec<Upcoming>, Rejected> {
    let version = state.current_version(name).ok_or_else(|| Rejected::no_workflow(name))?;
    let Some(coordinator) = &version.definition().coordinator else { return Ok(Vec::new()) };
    let mut next: Vec<(Timestamp, usize)> = Vec::new();
    let after_of = |at: usize| {
        let mark = state.triggers.get(&(name.clone(), coordinator.triggers[at].id.clone()));
        mark.map_or(after, |mark| mark.evaluated_up_to.max(after))
    };
    let triggers: Vec<_> = coordinator.triggers.iter().map(|trigger| effective(coordinator, trigger)).collect();
    for (at, trigger) in triggers.iter().enumerate() {
        next.extend(next_fire(trigger, &state.cluster.zone, after_of(at)).map(|time| (time, at)));
    }
    let mut fires = Vec::new();
    while fires.len() < n.min(FIRES_MAX) {
        next.sort();
        let Some((nominal, at)) = next.first().copied() else { break };
        next.remove(0);
        let trigger = &triggers[at];
        next.extend(next_fire(trigger, &state.cluster.zone, nominal).map(|time| (time, at)));
        let key =
            FireKey { workflow: name.clone(), trigger: trigger.id.clone(), occurrence: Occurrence::Nominal(nominal) };
        let zone = trigger.zone.unwrap_or(state.cluster.zone);
        let due = due(nominal, trigger.jitter, name, &trigger.id, &key.occurrence);
        let date = business_date(nominal, &zone, coordinator.business_date.as_ref());
        let birth = Birth {
            workflow: name.clone(),
            version: None,
            kind: Kind::Scheduled,
            fire: Some(key),
            trigger: Some(trigger.id.clone()),
            closure: None,
            affects: true,
            nominal,
            due,
            business_date: date,
            zone,
            caller: Vec::new(),
            defaults: true,
            skipped: Vec::new(),
            is_beyond_limit: false,
            note: None,
        };
        let by = crate::model::id::Principal::from("schedule");
        let head = state.head_of(&birth, version, due, &by);
        fires.push(Upcoming {
            trigger: trigger.id.clone(),
            nominal,
            due,
            business_date: date,
            zone: zone.name().to_owned(),
            params: Run::new(state, settings, &head, version).resolve(&[], true).map(|resolved| resolved.params),
            prerequisites: coordinator.prerequisites.iter().map(|p| p.workflow.clone()).collect(),
        });
    }
    Ok(fires)
}

/// The next `n` nominal times of a workflow, without their parameters: cheap enough to ask of all workflows.
pub fn times(state: &State, name: &WorkflowName, after: Timestamp, n: usize) -> Vec<Timestamp> {
    let version = state.current_version(name);
    let Some(coordinator) = version.and_then(|version| version.definition().coordinator.as_ref()) else {
        return Vec::new();
    };
    let mut times = Vec::new();
    for trigger in &coordinator.triggers {
        let mark = state.triggers.get(&(name.clone(), trigger.id.clone()));
        let after = mark.map_or(after, |mark| mark.evaluated_up_to.max(after));
        let trigger = effective(coordinator, trigger);
        let next = |at: Timestamp| next_fire(&trigger, &state.cluster.zone, at);
        times.extend(std::iter::successors(next(after), |at| next(*at)).take(n));
    }
    times.sort_unstable();
    times.truncate(n);
    times
}

/// How many fires are due after `after` and before `until`, counted up to `max`.
pub fn count(state: &State, name: &WorkflowName, after: Timestamp, until: Timestamp, max: usize) -> usize {
    let version = state.current_version(name);
    let Some(coordinator) = version.and_then(|version| version.definition().coordinator.as_ref()) else { return 0 };
    let mut n_fires = 0;
    for trigger in &coordinator.triggers {
        let mark = state.triggers.get(&(name.clone(), trigger.id.clone()));
        let mut at = mark.map_or(after, |mark| mark.evaluated_up_to.max(after));
        let trigger = effective(coordinator, trigger);
        while n_fires < max {
            let Some(nominal) = next_fire(&trigger, &state.cluster.zone, at).filter(|nominal| *nominal < until) else {
                break;
            };
            at = nominal;
            let due = due(nominal, trigger.jitter, name, &trigger.id, &Occurrence::Nominal(nominal));
            n_fires += usize::from(due < until);
        }
    }
    n_fires
}

//! What is to come, and why something does not: the engine's own answers in the words of the API.

use std::collections::BTreeMap;

use chrono::Duration;

use crate::actor::clock;
use crate::api::{NextFireView, TodayRow, TodayView, WhyReason, WhyView, page};
use crate::engine::plan;
use crate::engine::state::State;
use crate::engine::upcoming::{self, Upcoming};
use crate::engine::why::{Reason, Subject, why};
use crate::engine::{Limits, Settings};
use crate::model::id::{InstanceNumber, NodeIndex, WorkflowName};
use crate::model::message::Message;
use crate::model::policy::DstFold;
use crate::model::schedule::Zone;
use crate::model::state::InstanceWord;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger;
use crate::say;

use super::workflow::prerequisite_view;

/// Fires of one workflow that a list over all of them looks at.
const PER_WORKFLOW: usize = 50;
/// Bytes of a parameter's value in a list of fires.
const VALUE_BYTES_MAX: usize = 1_000;
/// Fires of one workflow that are counted.
const LEFT_MAX: usize = 1_000;
/// Workflows in the plan of a day.
const ROWS_MAX: usize = 1_000;
/// Prerequisites named in one.
const NAMES_MAX: usize = 20;

pub fn instance(state: &State, limits: &Limits, number: InstanceNumber) -> Option<WhyView> {
    state.instances.get(&number).filter(|head| !head.is_terminal())?;
    view(why(state, limits, &Subject::Instance(number), clock::wall()).ok()?)
}

pub fn node(state: &State, limits: &Limits, number: InstanceNumber, node: NodeIndex) -> Option<WhyView> {
    view(why(state, limits, &Subject::NodeAt(number, node), clock::wall()).ok()?)
}

pub fn workflow(state: &State, limits: &Limits, name: &WorkflowName) -> Option<WhyView> {
    view(why(state, limits, &Subject::Workflow(name.clone()), clock::wall()).ok()?)
}

fn view(reasons: Vec<Reason>) -> Option<WhyView> {
    let summary = reasons.first()?.said();
    let reasons = reasons.into_iter().map(|reason| WhyReason {
        code: code(&reason),
        text: reason.said(),
        unblock: reason.unblocked_by(),
        since: since(&reason).map(Into::into),
    });
    Some(WhyView { summary, reasons: reasons.collect() })
}

/// Of an instance that is over: why it ended so, and what shows more or runs it again.
pub fn ended(number: InstanceNumber, word: InstanceWord, why: Option<Message>, at: Option<Timestamp>) -> WhyView {
    let Some(text) = why.filter(|_| word != InstanceWord::Succeeded) else {
        return WhyView { summary: say!("it ended: {}", word), reasons: Vec::new() };
    };
    let unblock = match word {
        InstanceWord::Failed => say!("`ractorflow logs {}`, then `ractorflow instance rerun {}`", number, number),
        _ => say!("`ractorflow instance rerun {}`", number),
    };
    let reason =
        WhyReason { code: word.word().replace('_', "-"), text, unblock: Some(unblock), since: at.map(Into::into) };
    WhyView { summary: say!("it ended: {}", word), reasons: vec![reason] }
}

/// The variant's stable word with dashes.
fn code(reason: &Reason) -> String {
    let tagged = serde_json::to_value(reason).unwrap_or_default();
    tagged["reason"].as_str().unwrap_or("unknown").replace('_', "-")
}

fn since(reason: &Reason) -> Option<Timestamp> {
    match reason {
        Reason::DisabledByOperator { at, .. } => Some(*at),
        Reason::Paused { since, .. }
        | Reason::BeingDispatched { since, .. }
        | Reason::Running { since, .. }
        | Reason::OutOfSight { since, .. }
        | Reason::Unproven { since, .. }
        | Reason::LostAsks { since, .. }
        | Reason::BeingStopped { since, .. } => Some(*since),
        _ => None,
    }
}

pub fn next_fires(
    state: &State,
    settings: &Settings,
    name: &WorkflowName,
    limit: usize,
    now: Timestamp,
) -> Vec<NextFireView> {
    let Some(version) = state.workflow(name).map(|known| known.current) else { return Vec::new() };
    let is_enabled = state.is_enabled(name);
    let fires = upcoming::upcoming(state, settings, name, now, limit).unwrap_or_default();
    fires.into_iter().map(|fire| fire_view(state, name, version.0, is_enabled, fire)).collect()
}

fn fire_view(state: &State, name: &WorkflowName, version: u32, is_enabled: bool, fire: Upcoming) -> NextFireView {
    let zone = Zone::parse(&fire.zone).unwrap_or(Zone::UTC);
    let is_unmet =
        |on: &&WorkflowName| !state.latches.contains_key(&(name.clone(), trigger::Subject::Workflow((*on).clone())));
    let (params, fault) = match fire.params {
        Ok(params) => (params.into_iter().map(|(name, value)| (name, cut(value.text))).collect(), None),
        Err(message) => (Vec::new(), Some(say!("parameters: {}", message))),
    };
    NextFireView {
        workflow: name.to_string(),
        trigger: fire.trigger.to_string(),
        nominal: fire.nominal.into(),
        due: fire.due.into(),
        local: zone.at(fire.nominal).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
        zone: fire.zone,
        business_date: Some(fire.business_date.to_string()),
        params,
        is_params_cut: false,
        waits_for: fire.prerequisites.iter().filter(is_unmet).take(NAMES_MAX).map(|on| on.to_string()).collect(),
        version,
        usual_ms: None,
        blocked: if is_enabled { fault } else { Some(say!("disabled")) },
    }
}

fn cut(mut text: String) -> String {
    page::cut_text(&mut text, VALUE_BYTES_MAX);
    text
}

/// Workflows that fire by themselves.
pub fn enabled(state: &State) -> Vec<WorkflowName> {
    let live = state.workflows.values().filter(|known| known.removed.is_none() && state.is_enabled(&known.name));
    live.map(|known| known.name.clone()).collect()
}

/// One fire each of the workflows that fire next: one that fires every minute does not crowd out the rest.
pub fn one_each(state: &State, limit: usize, now: Timestamp) -> BTreeMap<WorkflowName, usize> {
    soonest(state, limit, now).into_iter().map(|(_, name)| (name, 1)).collect()
}

fn soonest(state: &State, limit: usize, now: Timestamp) -> Vec<(Timestamp, WorkflowName)> {
    let next = |name: WorkflowName| Some((*upcoming::times(state, &name, now, 1).first()?, name));
    let mut soonest: Vec<_> = enabled(state).into_iter().filter_map(next).collect();
    soonest.sort_unstable();
    soonest.truncate(limit);
    soonest
}

/// What is left of the day that ends at `until`; `own` are the fires of each workflow's own triggers.
pub fn today(state: &State, own: &BTreeMap<WorkflowName, plan::Own>, now: Timestamp, until: Timestamp) -> TodayView {
    let zone = &state.cluster.zone;
    let left = plan::left(state, own);
    let total = left.values().map(|count| *count as u64).sum();
    let mut rows: Vec<TodayRow> = left
        .iter()
        .filter(|(name, count)| **count > 0 || state.waits_for_others(name))
        .map(|(name, count)| today_row(state, name, *count, now, until))
        .collect();
    rows.sort_by_key(|row| (row.next.is_none(), row.next.map(|at| at.0), std::cmp::Reverse(row.left)));
    let is_cut = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let is_cut = page::fit(&mut rows, page::PAGE_BYTES_MAX) || is_cut;
    TodayView { date: date_of(zone, now), zone: zone.name().to_owned(), left: total, workflows: rows, is_cut }
}

fn today_row(state: &State, name: &WorkflowName, count: usize, now: Timestamp, until: Timestamp) -> TodayRow {
    let coordinator = state.current_version(name).and_then(|version| version.definition().coordinator.as_ref());
    let prerequisites = coordinator.map(|coordinator| coordinator.prerequisites.as_slice()).unwrap_or_default();
    let next = upcoming::times(state, name, now, 1).first().copied().filter(|at| *at < until);
    TodayRow {
        workflow: name.to_string(),
        left: count as u32,
        next: next.map(Into::into),
        waits_for: prerequisites
            .iter()
            .take(NAMES_MAX)
            .map(|on| prerequisite_view(state, name, &on.workflow))
            .collect(),
    }
}

/// How often one workflow still fires until then.
pub fn left_of(state: &State, name: &WorkflowName, now: Timestamp, until: Timestamp) -> u32 {
    let names = plan::upstream(state, name).into_iter();
    let own = names.filter_map(|name| plan::own(state, &name, now, until, LEFT_MAX).map(|own| (name, own))).collect();
    plan::left(state, &own).get(name).map_or(0, |count| *count as u32)
}

/// The fires of a workflow's own triggers until then; `None`: it does not fire by itself.
pub fn own_of(state: &State, name: &WorkflowName, now: Timestamp, until: Timestamp) -> Option<plan::Own> {
    plan::own(state, name, now, until, LEFT_MAX)
}

/// How many of the next `limit` fires of all workflows each of them has.
pub fn share(state: &State, limit: usize, now: Timestamp) -> BTreeMap<WorkflowName, usize> {
    // No other workflow can have one of them.
    let soonest = soonest(state, limit, now);
    let times = |(_, name): &(Timestamp, WorkflowName)| {
        let times = upcoming::times(state, name, now, PER_WORKFLOW.min(limit));
        times.into_iter().map(|at| (at, name.clone())).collect::<Vec<_>>()
    };
    let mut fires: Vec<(Timestamp, WorkflowName)> = soonest.iter().flat_map(times).collect();
    fires.sort_unstable();
    let mut share = BTreeMap::new();
    fires.into_iter().take(limit).for_each(|(_, name)| *share.entry(name).or_default() += 1);
    share
}

/// Leaves out the parameters of those that one answer cannot carry.
pub fn bounded(mut fires: Vec<NextFireView>) -> Vec<NextFireView> {
    let mut bytes = 0;
    for fire in &mut fires {
        bytes += page::encoded_bytes(fire);
        if bytes > page::PAGE_BYTES_MAX / 2 {
            fire.params = Vec::new();
            fire.is_params_cut = true;
        }
    }
    fires
}

/// The first instant of the day that lies `back` days before that of `now`.
pub fn day_start(zone: &Zone, now: Timestamp, back: i64) -> Timestamp {
    let date = zone.wall(now).date() - Duration::days(back);
    zone.instant_of(date.and_time(chrono::NaiveTime::MIN), DstFold::First)
}

pub fn date_of(zone: &Zone, at: Timestamp) -> String {
    CivilDate::from_chrono(zone.wall(at).date()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::definition::{hash_of, pack};
    use crate::engine::state::Bundle;
    use crate::engine::{Event, EventKind};
    use crate::model::id::{Principal, VersionNumber};
    use crate::node::spec;
    use crate::xml;

    fn load(state: &mut State, name: &str, cron: &str) {
        let text = format!(
            "<work-flow name=\"{name}\">\n<coordinator><trigger id=\"t\" cron=\"{cron}\"/></coordinator>\n\
             <start name=\"s\" to=\"a\"/><action name=\"a\"><exec program=\"true\"/><ok to=\"e\"/></action><end name=\"e\"/></work-flow>"
        );
        let outcome = xml::read(&xml::Input::new(text.as_bytes(), "x.xml", spec::all()));
        let content = hash_of(text.as_bytes());
        let bundle = Bundle { text, path: None, definition: outcome.definition.unwrap(), files: Vec::new() };
        let mut chunks = Vec::new();
        for (hash, bytes) in pack(&bundle) {
            chunks.push(hash.clone());
            state.apply(&Event { at: Timestamp(1), kind: EventKind::ChunkStored { hash, bytes } }).unwrap();
        }
        let (workflow, version, by) = (WorkflowName::from(name), VersionNumber(1), Principal::from("user:li"));
        let kind = EventKind::DefinitionAdded { workflow, version, content, chunks, origin: None, by };
        state.apply(&Event { at: Timestamp(1), kind }).unwrap();
    }

    #[test]
    fn one_that_fires_every_minute_does_not_crowd_out_the_night() {
        let mut state = State::default();
        load(&mut state, "every-minute", "* * * * *");
        (0..5).for_each(|n| load(&mut state, &format!("nightly-{n}"), &format!("{n} 2 * * *")));
        let evening = Timestamp(20 * 3_600_000);
        let shown = one_each(&state, 10, evening);
        assert_eq!(shown.values().copied().collect::<Vec<_>>(), [1; 6], "{shown:?}");
        // The complete list keeps all of them.
        assert_eq!(share(&state, 10, evening)[&WorkflowName::from("every-minute")], 10);
    }

    #[test]
    fn what_failed_says_why_and_what_shows_more() {
        let at = Some(Timestamp(1));
        let why = ended(InstanceNumber(8), InstanceWord::Failed, Some(say!("it is {}", "broken")), at);
        assert_eq!(why.summary.english(), "it ended: failed");
        assert_eq!((why.reasons[0].code.as_str(), why.reasons[0].text.english().as_str()), ("failed", "it is broken"));
        let unblock = why.reasons[0].unblock.as_ref().unwrap().english();
        assert_eq!(unblock, "`ractorflow logs 8`, then `ractorflow instance rerun 8`");
        assert_eq!(ended(InstanceNumber(8), InstanceWord::Succeeded, None, at).reasons, []);
    }
}

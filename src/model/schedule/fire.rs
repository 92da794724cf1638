//! The instants at which a trigger fires, by its rule alone: never from a clock, never from history.

use chrono::{Months, Timelike};

use super::cron::Cron;
use super::days::SEARCH_YEARS;
use super::shift::{Shift, business_date};
use super::wall::{CivilDay, Rules, TimesOfDay};
use super::zone::{Zone, next_day};
use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{TriggerId, WorkflowName};
use crate::model::policy::{DstFold, DstGap};
use crate::model::time::{CivilDate, CivilDateTime, Timestamp};
use crate::model::trigger::{Occurrence, Trigger, TriggerSource};

/// `every` without an anchor counts from 2000-01-01 00:00:00 in the zone.
const ANCHOR: CivilDateTime = CivilDateTime(946_684_800);

/// The first nominal time later than `after`, inside the trigger's window. `cluster_zone` counts where the
/// trigger has no zone. `None`: no fire in the next thirty years, or never again.
pub fn next_fire(trigger: &Trigger, cluster_zone: &Zone, after: Timestamp) -> Option<Timestamp> {
    let zone = trigger.zone.as_ref().unwrap_or(cluster_zone);
    let after = trigger.window.from.map_or(after, |from| after.max(from.plus_ms(-1)));
    let from = after.0.div_euclid(1000) + 1;
    let fire = match &trigger.source {
        TriggerSource::Cron { cron, seconds } => {
            let clock = Clock::of(cron, seconds);
            next_cron(cron, &clock, cron_rules(trigger, cron), zone, from).map(instant)
        }
        TriggerSource::Every { period, anchor } => {
            let anchor = zone.instant(anchor.unwrap_or(ANCHOR));
            nth_after(anchor, *period, after)
        }
        TriggerSource::At { at } => {
            let (day, clock) = single(zone, *at);
            day.first_instant(&clock, rules(trigger), from).map(instant)
        }
    };
    fire.filter(|fire| trigger.window.holds(*fire))
}

/// The last nominal time earlier than `before`, inside the trigger's window.
pub fn previous_fire(trigger: &Trigger, cluster_zone: &Zone, before: Timestamp) -> Option<Timestamp> {
    let zone = trigger.zone.as_ref().unwrap_or(cluster_zone);
    let before = trigger.window.to.map_or(before, |to| before.min(to.plus_ms(1)));
    let to = before.plus_ms(999).0.div_euclid(1000);
    let fire = match &trigger.source {
        TriggerSource::Cron { cron, seconds } => {
            let clock = Clock::of(cron, seconds);
            previous_cron(cron, &clock, cron_rules(trigger, cron), zone, to).map(instant)
        }
        TriggerSource::Every { period, anchor } => {
            let anchor = zone.instant(anchor.unwrap_or(ANCHOR));
            nth_before(anchor, *period, before)
        }
        TriggerSource::At { at } => {
            let (day, clock) = single(zone, *at);
            day.last_instant(&clock, rules(trigger), to).map(instant)
        }
    };
    fire.filter(|fire| trigger.window.holds(*fire))
}

/// The first `max` fires whose business date is this one.
pub fn fires_of_date(
    trigger: &Trigger,
    cluster_zone: &Zone,
    shift: Option<&Shift>,
    date: CivilDate,
    max: usize,
) -> Vec<Timestamp> {
    let zone = trigger.zone.as_ref().unwrap_or(cluster_zone);
    let date_of = |at: Timestamp| business_date(at, zone, shift);
    // Shifts keep the order of dates, so the first instant of the date is found by halving.
    let day = Timestamp(i64::from(date.0) * DAY_MS);
    let (mut before, mut from) = (day.plus_ms(-DATES_MAX * DAY_MS), day.plus_ms(DATES_MAX * DAY_MS));
    if date_of(before) >= date || date_of(from) < date {
        return Vec::new();
    }
    while from.since(before) > 1 {
        let middle = Timestamp(before.0 + from.since(before) / 2);
        if date_of(middle) < date { before = middle } else { from = middle }
    }
    // Where the clocks go back over midnight, an hour of the date may lie apart from the rest of it.
    let mut after = from.plus_ms(-FOLD_MS - 1);
    let mut fires = Vec::new();
    while fires.len() < max {
        let Some(next) = next_fire(trigger, cluster_zone, after) else { break };
        match date_of(next).cmp(&date) {
            std::cmp::Ordering::Equal => fires.push(next),
            std::cmp::Ordering::Greater if date_of(next.plus_ms(-FOLD_MS)) > date => break,
            std::cmp::Ordering::Less | std::cmp::Ordering::Greater => {}
        }
        after = next;
    }
    fires
}

const DAY_MS: i64 = 86_400_000;
/// How far a fire may lie from its business date, in days.
const DATES_MAX: i64 = 11_000;
/// No clock goes back further.
const FOLD_MS: i64 = 3 * 3_600_000;

/// When a fire may start: nominal time plus a share of the jitter that is the same for ever.
pub fn due(
    nominal: Timestamp,
    jitter: Millis,
    workflow: &WorkflowName,
    trigger: &TriggerId,
    occurrence: &Occurrence,
) -> Timestamp {
    let Some(jitter) = u64::try_from(jitter.0).ok().filter(|jitter| *jitter > 0) else {
        return nominal;
    };
    let (tag, value): (&[u8], Vec<u8>) = match occurrence {
        Occurrence::Nominal(at) => (b"nominal", at.0.to_le_bytes().to_vec()),
        Occurrence::Event(key) => (b"event", key.as_bytes().to_vec()),
        Occurrence::Sequence(n) => (b"sequence", n.to_le_bytes().to_vec()),
        Occurrence::BusinessDate(CivilDate(days)) => (b"business_date", days.to_le_bytes().to_vec()),
        Occurrence::Request(id) => (b"request", id.as_bytes().to_vec()),
    };
    let hash = hash::fixed(&[workflow.as_str().as_bytes(), trigger.as_str().as_bytes(), tag, &value]);
    nominal.plus_ms((hash % jitter) as i64)
}

fn next_cron(cron: &Cron, clock: &Clock, rules: Rules, zone: &Zone, from: i64) -> Option<i64> {
    // A day earlier: its last wall times may still lie ahead where a fold spans midnight.
    let start = zone.wall(instant(from)).date().pred_opt()?;
    let end = start.checked_add_months(Months::new(SEARCH_YEARS * 12))?;
    let mut date = cron.days().first_from(start)?;
    while date <= end {
        let day = CivilDay::new(zone, date);
        let tomorrow = next_day(date)?;
        if let Some(fire) = day.first_instant(clock, rules, from) {
            if day.is_even() || !cron.days().matches(tomorrow) {
                return Some(fire);
            }
            // For the same reason the day after may have an earlier instant than this one.
            let other = CivilDay::new(zone, tomorrow).first_instant(clock, rules, from);
            return Some(other.map_or(fire, |other| other.min(fire)));
        }
        date = cron.days().first_from(tomorrow)?;
    }
    None
}

fn previous_cron(cron: &Cron, clock: &Clock, rules: Rules, zone: &Zone, to: i64) -> Option<i64> {
    let start = next_day(zone.wall(instant(to)).date())?;
    let end = start.checked_sub_months(Months::new(SEARCH_YEARS * 12))?;
    let mut date = cron.days().last_to(start)?;
    while date >= end {
        let day = CivilDay::new(zone, date);
        let yesterday = date.pred_opt()?;
        if let Some(fire) = day.last_instant(clock, rules, to) {
            if day.is_even() || !cron.days().matches(yesterday) {
                return Some(fire);
            }
            let other = CivilDay::new(zone, yesterday).last_instant(clock, rules, to);
            return Some(other.map_or(fire, |other| other.max(fire)));
        }
        date = cron.days().last_to(yesterday)?;
    }
    None
}

/// An hour field that matches every hour means elapsed time: each real minute that shows the wanted wall
/// time, both passes of a repeated hour, nothing for a missing one.
fn cron_rules(trigger: &Trigger, cron: &Cron) -> Rules {
    if cron.is_every_hour() { Rules { gap: DstGap::Skip, fold: DstFold::Both } } else { rules(trigger) }
}

fn rules(trigger: &Trigger) -> Rules {
    Rules { gap: trigger.dst_gap, fold: trigger.dst_fold }
}

fn nth_after(anchor: Timestamp, period: Millis, after: Timestamp) -> Option<Timestamp> {
    if period.0 <= 0 {
        return None;
    }
    let n = after.since(anchor).div_euclid(period.0).checked_add(1)?.max(0);
    n.checked_mul(period.0).and_then(|ms| anchor.0.checked_add(ms)).map(Timestamp)
}

fn nth_before(anchor: Timestamp, period: Millis, before: Timestamp) -> Option<Timestamp> {
    if period.0 <= 0 || before <= anchor {
        return None;
    }
    let n = (before.since(anchor) - 1).div_euclid(period.0);
    n.checked_mul(period.0).and_then(|ms| anchor.0.checked_add(ms)).map(Timestamp)
}

fn single(zone: &Zone, at: CivilDateTime) -> (CivilDay, Single) {
    let at = at.to_chrono();
    (CivilDay::new(zone, at.date()), Single(i64::from(at.num_seconds_from_midnight())))
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

/// One time of day.
struct Single(i64);

impl TimesOfDay for Single {
    fn first_in(&self, from: i64, to: i64) -> Option<i64> {
        (from..to).contains(&self.0).then_some(self.0)
    }

    fn last_in(&self, from: i64, to: i64) -> Option<i64> {
        self.first_in(from, to)
    }
}

/// Hours, minutes and seconds as bit masks.
struct Clock {
    hours: u64,
    minutes: u64,
    seconds: u64,
}

impl Clock {
    fn of(cron: &Cron, seconds: &[u32]) -> Self {
        let of_trigger = seconds.iter().filter(|second| **second < 60).fold(0, |set, second| set | 1 << second);
        Clock {
            hours: u64::from(cron.hours()),
            minutes: cron.minutes(),
            // A sentence may name seconds itself.
            seconds: cron.seconds().unwrap_or(if seconds.is_empty() { 1 } else { of_trigger }),
        }
    }
}

impl TimesOfDay for Clock {
    fn first_in(&self, from: i64, to: i64) -> Option<i64> {
        let from = from.max(0);
        let (hour, minute, second) = ((from / 3600) as u32, (from / 60 % 60) as u32, (from % 60) as u32);
        let in_minute = |h: u32, m: u32| bit_from(self.seconds, second).map(|s| (h, m, s));
        let in_hour =
            |h: u32| bit_from(self.minutes, minute + 1).and_then(|m| Some((h, m, bit_from(self.seconds, 0)?)));
        let in_day = || {
            let h = bit_from(self.hours, hour + 1)?;
            Some((h, bit_from(self.minutes, 0)?, bit_from(self.seconds, 0)?))
        };
        let has_hour = hour < 24 && self.hours & (1 << hour) != 0;
        let this_minute = (has_hour && self.minutes & (1 << minute) != 0).then(|| in_minute(hour, minute)).flatten();
        let this_hour = || has_hour.then(|| in_hour(hour)).flatten();
        let (h, m, s) = this_minute.or_else(this_hour).or_else(in_day)?;
        Some(second_of_day(h, m, s)).filter(|found| *found < to)
    }

    fn last_in(&self, from: i64, to: i64) -> Option<i64> {
        let last = to.min(86_400).checked_sub(1).filter(|last| *last >= 0)?;
        let (hour, minute, second) = ((last / 3600) as u32, (last / 60 % 60) as u32, (last % 60) as u32);
        let has_hour = self.hours & (1 << hour) != 0;
        let this_minute = (has_hour && self.minutes & (1 << minute) != 0)
            .then(|| bit_to(self.seconds, second).map(|s| (hour, minute, s)))
            .flatten();
        let this_hour = || {
            let m = has_hour.then(|| bit_below(self.minutes, minute)).flatten()?;
            Some((hour, m, bit_to(self.seconds, 59)?))
        };
        let in_day = || {
            let h = bit_below(self.hours, hour)?;
            Some((h, bit_to(self.minutes, 59)?, bit_to(self.seconds, 59)?))
        };
        let (h, m, s) = this_minute.or_else(this_hour).or_else(in_day)?;
        Some(second_of_day(h, m, s)).filter(|found| *found >= from)
    }
}

fn second_of_day(hour: u32, minute: u32, second: u32) -> i64 {
    i64::from(hour * 3600 + minute * 60 + second)
}

/// The lowest member of the set that is `from` or more.
fn bit_from(set: u64, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

/// The highest member of the set that is `to` or less (`to` < 64).
fn bit_to(set: u64, to: u32) -> Option<u32> {
    let rest = set & (u64::MAX >> (63 - to.min(63)));
    (rest != 0).then(|| 63 - rest.leading_zeros())
}

fn bit_below(set: u64, below: u32) -> Option<u32> {
    below.checked_sub(1).and_then(|to| bit_to(set, to))
}

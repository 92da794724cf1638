//! One civil day of a zone as stretches of constant offset, and the instants of wall times on it.
//!
//! A day has one stretch, two when the clocks change, none when the zone skipped it (Samoa, 2011-12-30).

use chrono::{NaiveDate, NaiveTime, Offset, TimeZone};

use super::zone::Zone;
use crate::model::policy::{DstFold, DstGap};
use crate::model::time::Timestamp;

/// Seconds of a day at which something happens.
pub(super) trait TimesOfDay {
    /// The first in `from..to`.
    fn first_in(&self, from: i64, to: i64) -> Option<i64>;
    /// The last in `from..to`.
    fn last_in(&self, from: i64, to: i64) -> Option<i64>;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub gap: DstGap,
    pub fold: DstFold,
}

/// A civil day: wall seconds are counted from its midnight, instants in seconds since 1970.
pub(super) struct CivilDay {
    /// Seconds since 1970 of the day's midnight if the zone were UTC.
    midnight: i64,
    stretches: Vec<Stretch>,
}

/// Instants `from..to` with one offset.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i64,
    to: i64,
    offset: i64,
}

const DAY: i64 = 86_400;
/// No offset from UTC is larger, and no change moves a wall clock by more than a day.
const MARGIN: i64 = 40 * 3600;

impl CivilDay {
    pub fn new(zone: &Zone, date: NaiveDate) -> Self {
        let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
        Self { midnight, stretches: stretches(zone, midnight - MARGIN, midnight + DAY + MARGIN) }
    }

    /// Do the clocks stay as they are on this day and those beside it?
    pub fn is_even(&self) -> bool {
        self.stretches.len() == 1
    }

    /// The first instant of one of these times of day that is `from` or later.
    pub fn first_instant(&self, times: &impl TimesOfDay, rules: Rules, from: i64) -> Option<i64> {
        let on_the_clock = self.windows(rules).filter_map(|(window_from, window_to, shift)| {
            times.first_in(window_from.max(from - shift), window_to).map(|second| second + shift)
        });
        let after_gaps =
            self.gaps(rules).filter(|(start, end, at)| *at >= from && times.first_in(*start, *end).is_some());
        on_the_clock.chain(after_gaps.map(|(_, _, at)| at)).min()
    }

    /// The last instant of one of these times of day that is before `to`.
    pub fn last_instant(&self, times: &impl TimesOfDay, rules: Rules, to: i64) -> Option<i64> {
        let on_the_clock = self.windows(rules).filter_map(|(window_from, window_to, shift)| {
            times.last_in(window_from, window_to.min(to - shift)).map(|second| second + shift)
        });
        let after_gaps = self.gaps(rules).filter(|(start, end, at)| *at < to && times.first_in(*start, *end).is_some());
        on_the_clock.chain(after_gaps.map(|(_, _, at)| at)).max()
    }

    /// Seconds of the day that the clock shows in one stretch and that count there, with what turns them
    /// into instants. Of a fold, the stretch that the rule does not want leaves it out.
    fn windows(&self, rules: Rules) -> impl Iterator<Item = (i64, i64, i64)> {
        self.stretches.iter().enumerate().map(move |(n, stretch)| {
            let (mut from, mut to) = (stretch.from + stretch.offset, stretch.to + stretch.offset);
            if let (DstFold::First, Some(before)) = (rules.fold, n.checked_sub(1).map(|n| self.stretches[n])) {
                from = from.max(before.to + before.offset);
            }
            if let (DstFold::Last, Some(after)) = (rules.fold, self.stretches.get(n + 1)) {
                to = to.min(after.from + after.offset);
            }
            ((from - self.midnight).max(0), (to - self.midnight).min(DAY), self.midnight - stretch.offset)
        })
    }

    /// Seconds of the day that the clock skips, with the instant after them.
    fn gaps(&self, rules: Rules) -> impl Iterator<Item = (i64, i64, i64)> {
        let pairs = match rules.gap {
            DstGap::RunAfter => self.stretches.as_slice(),
            DstGap::Skip => &[],
        };
        pairs.windows(2).map(|pair| {
            let (start, end) = (pair[0].to + pair[0].offset, pair[1].from + pair[1].offset);
            ((start - self.midnight).max(0), (end - self.midnight).min(DAY), pair[1].from)
        })
    }
}

fn stretches(zone: &Zone, from: i64, to: i64) -> Vec<Stretch> {
    let mut stretches = Vec::with_capacity(2);
    let last = offset(zone, to);
    let mut current = Stretch { from, to, offset: offset(zone, from) };
    while current.offset != last {
        let change = transition(zone, current.from, to);
        stretches.push(Stretch { to: change, ..current });
        current = Stretch { from: change, to, offset: offset(zone, change) };
    }
    stretches.push(current);
    stretches
}

/// A second in `(early, late]` at which the offset that `early` has ends.
fn transition(zone: &Zone, mut early: i64, mut late: i64) -> i64 {
    let old = offset(zone, early);
    while late - early > 1 {
        let middle = early + (late - early) / 2;
        if offset(zone, middle) == old { early = middle } else { late = middle }
    }
    late
}

fn offset(zone: &Zone, instant: i64) -> i64 {
    let utc = Timestamp(instant.saturating_mul(1000)).utc().naive_utc();
    i64::from(zone.tz().offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

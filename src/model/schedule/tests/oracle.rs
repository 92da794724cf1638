//! Fires against a scan of every minute, and against croner.

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use std::collections::BTreeSet;

use super::*;

/// Plain cron fields, read and matched in the dullest way.
struct Plain {
    fields: [Vec<bool>; 5],
    is_star: bool,
}

impl Plain {
    fn new(line: &str) -> Self {
        let texts: Vec<&str> = line.split(' ').collect();
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        Self {
            fields: std::array::from_fn(|n| {
                (0..60).map(|value| has(texts[n], value, bounds[n].0, bounds[n].1)).collect()
            }),
            is_star: texts[2].starts_with('*') || texts[4].starts_with('*'),
        }
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let is = |field: usize, n: u32| self.fields[field][n as usize];
        let by_day = is(2, wall.day());
        let by_weekday = is(4, wall.weekday().num_days_from_sunday());
        is(0, wall.minute())
            && is(1, wall.hour())
            && is(3, wall.month())
            && if self.is_star { by_day && by_weekday } else { by_day || by_weekday }
    }

    fn is_every_hour(&self) -> bool {
        self.fields[1][..24].iter().all(|has| *has)
    }
}

fn has(field: &str, n: u32, min: u32, max: u32) -> bool {
    field.split(',').any(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (from, to) = match range {
            "*" => (min, max),
            range => {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                (from.parse().unwrap(), to.parse().unwrap())
            }
        };
        n >= from && n <= to && (n - from) % step.parse::<u32>().unwrap() == 0
    })
}

/// Every instant in `from..to` at which the line fires, found without any cleverness.
fn scan(line: &str, tz: Tz, gap: DstGap, fold: DstFold, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Timestamp> {
    let plain = Plain::new(line);
    let mut fires = BTreeSet::new();
    if plain.is_every_hour() {
        // Elapsed time: each real minute is asked what its clock shows.
        let mut instant = from;
        while instant < to {
            if plain.matches(instant.with_timezone(&tz).naive_local()) {
                fires.insert(Timestamp::from(instant));
            }
            instant += TimeDelta::minutes(1);
        }
        return fires.into_iter().collect();
    }
    // Each wall minute is asked which instants show it.
    let mut wall = (from - TimeDelta::days(2)).naive_utc();
    // The end of the gap that was walked last.
    let mut later = wall;
    while wall < (to + TimeDelta::days(2)).naive_utc() {
        if plain.matches(wall) {
            match tz.from_local_datetime(&wall) {
                MappedLocalTime::Single(at) => {
                    fires.insert(Timestamp::from(at));
                }
                MappedLocalTime::Ambiguous(a, b) => {
                    if fold != DstFold::Last {
                        fires.insert(Timestamp::from(a.min(b)));
                    }
                    if fold != DstFold::First {
                        fires.insert(Timestamp::from(a.max(b)));
                    }
                }
                MappedLocalTime::None if gap == DstGap::RunAfter => {
                    later = later.max(wall);
                    while tz.from_local_datetime(&later).earliest().is_none() {
                        later += TimeDelta::minutes(1);
                    }
                    fires.insert(Timestamp::from(tz.from_local_datetime(&later).earliest().unwrap()));
                }
                MappedLocalTime::None => {}
            }
        }
        wall += TimeDelta::minutes(1);
    }
    let (from, to) = (Timestamp::from(from), Timestamp::from(to));
    fires.into_iter().filter(|fire| *fire >= from && *fire < to).collect()
}

fn chain(trigger: &Trigger, zone: &Zone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut fires = Vec::new();
    let mut after = from.plus_ms(-1);
    while let Some(fire) = next_fire(trigger, zone, after).filter(|fire| *fire < to) {
        assert!(fire > after, "fires must increase");
        fires.push(fire);
        after = fire;
    }
    fires
}

fn chain_back(trigger: &Trigger, zone: &Zone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut fires = Vec::new();
    let mut before = to;
    while let Some(fire) = previous_fire(trigger, zone, before).filter(|fire| *fire >= from) {
        assert!(fire < before, "fires must decrease");
        fires.push(fire);
        before = fire;
    }
    fires.reverse();
    fires
}

fn agree(line: &str, zone_name: &str, gap: DstGap, fold: DstFold, from: DateTime<Utc>, days: i64) -> usize {
    let zone = zone(zone_name);
    let to = from + TimeDelta::days(days);
    let wanted = scan(line, zone.tz(), gap, fold, from, to);
    let trigger = Trigger { dst_gap: gap, dst_fold: fold, ..cron(line) };
    let show = |fires: &[Timestamp]| fires.iter().map(|fire| zone.at(*fire).to_rfc3339()).collect::<Vec<_>>();
    let found = chain(&trigger, &zone, from.into(), to.into());
    assert_eq!(show(&found), show(&wanted), "{line} in {zone_name}, {gap:?} {fold:?}");
    let back = chain_back(&trigger, &zone, from.into(), to.into());
    assert_eq!(show(&back), show(&wanted), "{line} in {zone_name}, {gap:?} {fold:?}, backwards");
    found.len()
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc()
}

const RULES: [(DstGap, DstFold); 4] = [
    (DstGap::RunAfter, DstFold::First),
    (DstGap::Skip, DstFold::Last),
    (DstGap::RunAfter, DstFold::Both),
    (DstGap::Skip, DstFold::First),
];

#[test]
fn a_year_of_fires_equals_a_scan_of_every_minute() {
    for zone in ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"] {
        for line in ["30 2 * * *", "5,35 1-3 * * 0", "0 */6 13 * 5", "*/20 * 1-15/3 3,10 *"] {
            agree(line, zone, DstGap::RunAfter, DstFold::First, utc("2026-01-01 00:00:00"), 365);
        }
    }
}

#[test]
fn fires_around_clock_changes_equal_a_scan_of_every_minute() {
    // Days with a gap and a fold; Samoa lost a whole day, Sao Paulo's folds cross midnight, Apia's too.
    let changes = [
        ("America/New_York", "2026-03-07 00:00:00"),
        ("America/New_York", "2026-10-31 00:00:00"),
        ("Europe/Berlin", "2026-03-28 00:00:00"),
        ("Europe/Berlin", "2026-10-24 00:00:00"),
        ("Australia/Lord_Howe", "2026-04-03 00:00:00"),
        ("Australia/Lord_Howe", "2026-10-02 00:00:00"),
        ("America/Sao_Paulo", "2018-02-16 12:00:00"),
        ("America/Sao_Paulo", "2018-11-02 12:00:00"),
        ("America/St_Johns", "2010-11-06 00:00:00"),
        ("Pacific/Apia", "2011-12-29 00:00:00"),
        ("Africa/Cairo", "2026-04-23 00:00:00"),
        ("Asia/Shanghai", "1991-09-14 00:00:00"),
    ];
    let mut dice = Dice::new(7);
    let mut n_fires = 0;
    for (zone, from) in changes {
        for n in 0..20 {
            let (gap, fold) = *dice.pick(&RULES);
            // Hours near the change, any day, so that most lines meet it.
            let line = match n % 4 {
                0 => format!("{} * * * *", dice.field(0, 59)),
                1 => format!("{} {} * * *", dice.field(0, 59), dice.field(0, 3)),
                2 => format!("{} {} {} * *", dice.range(0, 59), dice.field(0, 23), dice.field(1, 31)),
                _ => dice.line(),
            };
            n_fires += agree(&line, zone, gap, fold, utc(from), 3);
        }
    }
    assert!(n_fires > 10_000, "the lines must meet the changes: {n_fires}");
}

#[test]
fn random_lines_agree_with_croner() {
    let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Disallowed).build();
    let mut dice = Dice::new(11);
    let mut n_steps = 0;
    for _ in 0..3000 {
        let line = dice.line();
        let fields: Vec<&str> = line.split(' ').collect();
        let is_stepped = |field: &str| field.starts_with("*/");
        // croner reads "*/2" in a day field as a restriction, Vixie's cron as a star.
        if is_stepped(fields[2]) && fields[4] != "*" || is_stepped(fields[4]) && fields[2] != "*" {
            continue;
        }
        let oracle = parser.parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let zone = zone(["Asia/Shanghai", "America/New_York", "UTC"][dice.below(3) as usize]);
        let trigger = cron(&line);
        let start = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + TimeDelta::days(dice.below(700) as i64);
        let mut after = zone.at(Timestamp::from(start.and_hms_opt(12, 0, 0).unwrap().and_utc()));
        for _ in 0..15 {
            let wanted = oracle.find_next_occurrence(&after, false).ok();
            let found = next_fire(&trigger, &zone, after.into());
            // Around clock changes croner adds and drops fires; the scan judges those days.
            let is_near_change = found.is_some_and(|found| {
                let offset = |days: i64| zone.at(found.plus_ms(days * 86_400_000)).format("%z").to_string();
                offset(-2) != offset(2)
            });
            if is_near_change {
                break;
            }
            let Some(found) = found else {
                // Nothing within thirty years; croner looks further or gives up, too.
                assert!(wanted.is_none_or(|wanted| wanted.year() > 2055), "{line}");
                break;
            };
            assert_eq!(Some(found), wanted.map(Timestamp::from), "{line} in {zone} after {after}");
            after = zone.at(found);
            n_steps += 1;
        }
    }
    assert!(n_steps > 25_000, "{n_steps}");
}

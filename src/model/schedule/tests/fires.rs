//! Clock changes by example, fixed rates, single instants, windows, jitter.

use super::*;
use crate::model::id::WorkflowName;
use crate::model::trigger::Occurrence;

fn with(trigger: Trigger, gap: DstGap, fold: DstFold) -> Trigger {
    Trigger { dst_gap: gap, dst_fold: fold, ..trigger }
}

#[test]
fn a_skipped_time_runs_once_after_the_gap_or_not_at_all() {
    let zone = zone("Europe/Berlin");
    let nightly = cron("0,15,30 2 * * *");
    let day = "2026-03-28 03:00:00";
    assert_eq!(walls(&nightly, &zone, day, 2), ["2026-03-29 03:00:00+02:00", "2026-03-30 02:00:00+02:00"]);
    let skipping = with(nightly, DstGap::Skip, DstFold::First);
    assert_eq!(walls(&skipping, &zone, day, 1), ["2026-03-30 02:00:00+02:00"]);
}

#[test]
fn a_repeated_time_runs_first_last_or_both() {
    let zone = zone("Europe/Berlin");
    let nightly = cron("30 2 * * *");
    let day = "2026-10-24 03:00:00";
    let first = "2026-10-25 02:30:00+02:00";
    let last = "2026-10-25 02:30:00+01:00";
    let next = "2026-10-26 02:30:00+01:00";
    assert_eq!(walls(&nightly, &zone, day, 2), [first, next]);
    let of = |fold| with(cron("30 2 * * *"), DstGap::RunAfter, fold);
    assert_eq!(walls(&of(DstFold::Last), &zone, day, 2), [last, next]);
    assert_eq!(walls(&of(DstFold::Both), &zone, day, 3), [first, last, next]);
}

#[test]
fn an_hourly_line_runs_each_elapsed_hour() {
    let zone = zone("America/New_York");
    let hourly = cron("30 * * * *");
    assert_eq!(
        walls(&hourly, &zone, "2026-11-01 00:00:00", 4),
        [
            "2026-11-01 00:30:00-04:00",
            "2026-11-01 01:30:00-04:00",
            "2026-11-01 01:30:00-05:00",
            "2026-11-01 02:30:00-05:00"
        ]
    );
    assert_eq!(
        walls(&hourly, &zone, "2026-03-08 01:00:00", 2),
        ["2026-03-08 01:30:00-05:00", "2026-03-08 03:30:00-04:00"]
    );
}

#[test]
fn seconds_repeat_in_each_matching_minute() {
    let source = TriggerSource::Cron { cron: Cron::parse("59 23 * * *", true).unwrap().0, seconds: vec![0, 30] };
    assert_eq!(
        walls(&trigger(source), &zone("Asia/Shanghai"), "2026-01-01 00:00:00", 3),
        ["2026-01-01 23:59:00+08:00", "2026-01-01 23:59:30+08:00", "2026-01-02 23:59:00+08:00"]
    );
}

#[test]
fn a_fixed_rate_keeps_its_distance_over_clock_changes() {
    let zone = zone("Europe/Berlin");
    let source = TriggerSource::Every {
        period: Millis::seconds(6 * 3600),
        anchor: Some(parse_datetime("2026-10-24 12:00:00").unwrap()),
    };
    let every = trigger(source);
    assert_eq!(
        walls(&every, &zone, "2026-10-01 00:00:00", 4),
        [
            "2026-10-24 12:00:00+02:00",
            "2026-10-24 18:00:00+02:00",
            "2026-10-25 00:00:00+02:00",
            "2026-10-25 05:00:00+01:00"
        ]
    );
    let anchor = at(&zone, "2026-10-24 12:00:00");
    assert_eq!(previous_fire(&every, &zone, anchor), None);
    assert_eq!(previous_fire(&every, &zone, anchor.plus_ms(1)), Some(anchor));
    assert_eq!(next_fire(&every, &zone, anchor), Some(anchor.plus_ms(6 * 3_600_000)));
}

#[test]
fn a_single_instant_fires_once() {
    let zone = zone("Asia/Shanghai");
    let once = trigger(TriggerSource::At { at: parse_datetime("2026-12-31 23:00:00").unwrap() });
    assert_eq!(walls(&once, &zone, "2026-01-01 00:00:00", 3), ["2026-12-31 23:00:00+08:00"]);
    let instant = at(&zone, "2026-12-31 23:00:00");
    assert_eq!(previous_fire(&once, &zone, instant), None);
    assert_eq!(previous_fire(&once, &zone, instant.plus_ms(1)), Some(instant));
}

#[test]
fn fires_stay_inside_the_window() {
    let zone = zone("Asia/Shanghai");
    let window = Window { from: Some(at(&zone, "2026-02-01 00:00:00")), to: Some(at(&zone, "2026-02-02 00:00:00")) };
    let daily = Trigger { window, ..cron("0 0 * * *") };
    let days = ["2026-02-01 00:00:00+08:00", "2026-02-02 00:00:00+08:00"];
    assert_eq!(walls(&daily, &zone, "2026-01-01 00:00:00", 5), days, "both ends are included");
    assert_eq!(previous_fire(&daily, &zone, at(&zone, "2027-01-01 00:00:00")), window.to);
    assert_eq!(previous_fire(&daily, &zone, at(&zone, "2026-02-01 00:00:00")), None);
    let inner = window.intersect(&Window { from: None, to: Some(at(&zone, "2026-02-01 12:00:00")) });
    assert_eq!((inner.from, inner.to), (window.from, Some(at(&zone, "2026-02-01 12:00:00"))));
}

#[test]
fn the_triggers_own_zone_wins() {
    let eu = Trigger { zone: Some(zone("Europe/Berlin")), ..cron("0 2 * * *") };
    let fire = next_fire(&eu, &zone("Asia/Shanghai"), Timestamp(0)).unwrap();
    assert_eq!(fire.to_string(), "1970-01-01T01:00:00.000Z");
}

#[test]
fn a_fire_is_strictly_later_to_the_millisecond() {
    let daily = cron("0 0 * * *");
    let midnight = at(&Zone::UTC, "2026-01-01 00:00:00");
    assert_eq!(next_fire(&daily, &Zone::UTC, midnight.plus_ms(-1)), Some(midnight));
    assert_eq!(next_fire(&daily, &Zone::UTC, midnight), Some(midnight.plus_ms(86_400_000)));
    assert_eq!(previous_fire(&daily, &Zone::UTC, midnight.plus_ms(1)), Some(midnight));
}

#[test]
fn absurd_instants_have_no_fires_and_do_no_harm() {
    for trigger in
        [cron("0 0 29 2 *"), cron("* * * * *"), trigger(TriggerSource::Every { period: Millis(0), anchor: None })]
    {
        for instant in [i64::MIN, -9_000_000_000_000_000, 9_000_000_000_000_000, i64::MAX] {
            let _ = next_fire(&trigger, &zone("Europe/Berlin"), Timestamp(instant));
            let _ = previous_fire(&trigger, &zone("Europe/Berlin"), Timestamp(instant));
        }
    }
}

#[test]
fn jitter_is_the_same_for_ever_and_below_its_bound() {
    let (workflow, id) = (WorkflowName::from("w"), TriggerId::from("t"));
    let nominal = Timestamp(1_767_225_600_000);
    let occurrence = Occurrence::Nominal(nominal);
    let jitter = Millis::seconds(300);
    let due_at = due(nominal, jitter, &workflow, &id, &occurrence);
    assert_eq!(due_at, due(nominal, jitter, &workflow, &id, &occurrence));
    assert_eq!(due_at.since(nominal), 193_955, "part of the format");
    assert_eq!(due(nominal, Millis(0), &workflow, &id, &occurrence), nominal);
    assert!((0..100).all(|n| {
        let late = due(nominal, jitter, &workflow, &id, &Occurrence::Sequence(n)).since(nominal);
        (0..300_000).contains(&late)
    }));
}

#[test]
fn the_fires_of_a_business_date_are_found_from_the_date() {
    let zone = zone("Asia/Shanghai");
    let date = |text: &str| parse_date(text).unwrap();
    let found = |trigger: &Trigger, shift: Option<&str>, day: &str| {
        let shift = shift.map(|shift| Shift::parse(shift).unwrap());
        let fires = fires_of_date(trigger, &zone, shift.as_ref(), date(day), 3);
        fires.iter().map(|fire| zone.at(*fire).format("%m-%d %H:%M").to_string()).collect::<Vec<_>>()
    };
    let nightly = cron("30 1 * * *");
    assert_eq!(found(&nightly, None, "2026-03-31"), ["03-31 01:30"]);
    assert_eq!(found(&nightly, Some("-1 day"), "2026-02-28"), ["03-01 01:30"]);
    assert_eq!(found(&cron("0 1 1 * *"), Some("-1 month, month-end"), "2026-02-28"), ["03-01 01:00"]);
    assert_eq!(found(&cron("0 1 1 * *"), Some("-1 month, month-end"), "2026-02-27"), Vec::<String>::new());
    assert_eq!(found(&cron("0 1 * * 1-5"), None, "2026-03-28"), Vec::<String>::new(), "a Saturday");
    let hourly = cron("0 * * * *");
    assert_eq!(found(&hourly, None, "2026-03-31"), ["03-31 00:00", "03-31 01:00", "03-31 02:00"], "no more than asked");
    // Every fire is found from its own date.
    let shift = Shift::parse("-1 week, friday").unwrap();
    let mut fire = at(&zone, "2026-01-01 00:00:00");
    for _ in 0..60 {
        fire = next_fire(&nightly, &zone, fire).unwrap();
        let day = business_date(fire, &zone, Some(&shift));
        assert!(fires_of_date(&nightly, &zone, Some(&shift), day, 10).contains(&fire), "{day}");
    }
    // A date that comes twice for an hour, when the clocks go back over midnight.
    let sao_paulo = Zone::parse("America/Sao_Paulo").unwrap();
    let half = Trigger { dst_fold: DstFold::Both, ..cron("30 23 * * *") };
    let fires = fires_of_date(&half, &sao_paulo, None, date("2018-02-17"), 9);
    assert_eq!(fires.len(), 2);
    assert_eq!(fires_of_date(&nightly, &zone, Some(&Shift::parse("-9000 years").unwrap()), date("2026-01-01"), 3), []);
}

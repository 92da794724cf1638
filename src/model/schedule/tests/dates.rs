//! Zones, shifts, scalars and Java's date patterns.

use super::*;
use crate::model::time::CivilDate;

fn shifted(text: &str, from: &str) -> String {
    let wall = parse_datetime(from).unwrap().to_chrono();
    Shift::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}")).apply(wall).to_string()
}

#[test]
fn zones_are_read_and_near_misses_named() {
    assert_eq!(Zone::parse(" Asia/Shanghai ").unwrap().name(), "Asia/Shanghai");
    for (text, near) in [
        ("asia/shanghai", "Asia/Shanghai"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("UTC+8", "Asia/Shanghai"),
        ("Shanghai", "Asia/Shanghai"),
        ("Asia/Shangai", "Asia/Shanghai"),
        ("America/New York", "America/New_York"),
        ("Europe/Belrin", "Europe/Berlin"),
    ] {
        assert_eq!(Zone::parse(text).unwrap_err().suggestion, Some(near), "{text}");
    }
    assert_eq!(Zone::parse("Mars/Olympus").unwrap_err().suggestion, None);
    let stored = rmp_serde::to_vec_named(&zone("Europe/Berlin")).unwrap();
    assert_eq!(rmp_serde::from_slice::<Zone>(&stored).unwrap(), zone("Europe/Berlin"));
}

#[test]
fn wall_times_in_gaps_and_folds_have_an_instant() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(at(&berlin, "2026-03-29 02:30:00").to_string(), "2026-03-29T01:00:00.000Z");
    assert_eq!(at(&berlin, "2026-10-25 02:30:00").to_string(), "2026-10-25T00:30:00.000Z");
    let apia = zone("Pacific/Apia");
    assert_eq!(apia.at(at(&apia, "2011-12-30 12:00:00")).to_rfc3339(), "2011-12-31T00:00:00+14:00");
}

#[test]
fn shifts_add_units_and_clamp_months() {
    let from = "2026-03-31 10:20:30";
    for (text, wanted) in [
        ("-1 month", "2026-02-28 10:20:30"),
        ("+1 Months", "2026-04-30 10:20:30"),
        ("1 day", "2026-04-01 10:20:30"),
        ("-1 week", "2026-03-24 10:20:30"),
        ("-1quarter", "2025-12-31 10:20:30"),
        ("-2 years", "2024-03-31 10:20:30"),
        ("-30 MINUTES", "2026-03-31 09:50:30"),
        ("+20 hour", "2026-04-01 06:20:30"),
        ("-31 seconds", "2026-03-31 10:19:59"),
        ("-1 month, month-end", "2026-02-28 10:20:30"),
        ("month-start", "2026-03-01 10:20:30"),
        ("month-start, -1 day, day-start", "2026-02-28 00:00:00"),
        ("quarter-start", "2026-01-01 10:20:30"),
        ("quarter-end", "2026-03-31 10:20:30"),
        ("year-end", "2026-12-31 10:20:30"),
        ("year-start", "2026-01-01 10:20:30"),
        ("week-start", "2026-03-30 10:20:30"),
        ("week-end", "2026-04-05 10:20:30"),
        ("Friday", "2026-04-03 10:20:30"),
        ("monday, -1 day", "2026-03-29 10:20:30"),
    ] {
        assert_eq!(shifted(text, from), wanted, "{text}");
    }
}

#[test]
fn weeks_are_seven_days_unless_akkaflows_count_is_wanted() {
    let wall = parse_datetime("2026-03-31 00:00:00").unwrap().to_chrono();
    let compat = Shift::parse_as("-1 week", true).unwrap();
    assert_eq!(compat.apply(wall).to_string(), "2026-03-30 00:00:00");
    assert!(Shift::parse("-1 week").unwrap().has_own_unit());
    assert!(!Shift::parse("-1 month, month-end").unwrap().has_own_unit());
}

#[test]
fn broken_shifts_name_the_step() {
    for (text, place, not_built) in [
        ("", "", false),
        ("-1 day,, 2 day", "-1 day,, 2 day", false),
        ("-1 day, 2 dya", "2 dya", false),
        ("month-strat", "month-strat", false),
        ("1", "1", false),
        ("--1 day", "--1 day", false),
        ("99999999 days", "99999999 days", false),
        ("+2 working-days", "+2 working-days", true),
        ("month-end, roll-back", "roll-back", true),
    ] {
        let fault = Shift::parse(text).unwrap_err();
        assert_eq!((&text[fault.span.clone()], fault.is_not_built), (place, not_built), "{text}: {fault}");
    }
}

#[test]
fn hours_are_elapsed_time_over_a_clock_change() {
    let berlin = zone("Europe/Berlin");
    let shift = Shift::parse("-1 hour").unwrap();
    let (wall, instant) = shift.apply_at(at(&berlin, "2026-03-29 03:30:00"), &berlin);
    assert_eq!((wall.to_string().as_str(), instant), ("2026-03-29 01:30:00", at(&berlin, "2026-03-29 01:30:00")));
    let shift = Shift::parse("+1 day, -1 hour").unwrap();
    let (wall, instant) = shift.apply_at(at(&berlin, "2026-03-28 03:30:00"), &berlin);
    assert_eq!((wall.to_string().as_str(), instant), ("2026-03-29 01:30:00", at(&berlin, "2026-03-29 01:30:00")));
    let (wall, instant) = Shift::parse("+1 day").unwrap().apply_at(at(&berlin, "2026-03-28 02:30:00"), &berlin);
    assert_eq!(wall.to_string(), "2026-03-29 02:30:00", "a wall time stays as it is, also in a gap");
    assert_eq!(instant, at(&berlin, "2026-03-29 03:00:00"));
}

#[test]
fn the_business_date_is_local() {
    let shanghai = zone("Asia/Shanghai");
    let nominal = at(&shanghai, "2026-03-01 01:30:00");
    assert_eq!(business_date(nominal, &shanghai, None).to_string(), "2026-03-01");
    let shift = Shift::parse("-1 day").unwrap();
    assert_eq!(business_date(nominal, &shanghai, Some(&shift)).to_string(), "2026-02-28");
    assert_eq!(business_date(nominal, &Zone::UTC, None).to_string(), "2026-02-28");
    let _ = business_date(Timestamp(i64::MAX), &shanghai, Some(&shift));
    assert_eq!(shift.apply_to_date(CivilDate(0)).to_string(), "1969-12-31");
}

#[test]
fn dates_and_times_are_read_leniently_but_not_rolled_over() {
    assert_eq!(parse_datetime(" 2026-1-5 3:4:5 ").unwrap().to_string(), "2026-01-05 03:04:05");
    assert_eq!(parse_datetime("2026-12-31 24:00:00").unwrap().to_string(), "2027-01-01 00:00:00");
    assert_eq!(parse_date("2024-2-29").unwrap().to_string(), "2024-02-29");
    assert_eq!(parse_time("06:00"), Ok(21_600));
    assert_eq!(parse_time("6:00:01"), Ok(21_601));
    for bad in ["", "2026-13-01 00:00:00", "2026-02-29 00:00:00", "2026-01-01", "2026-01-01 24:00:01", "26-01", "x"] {
        assert!(parse_datetime(bad).is_err(), "{bad}");
    }
    for bad in ["2026-02-30", "2026/01/01", "2026-001-01", "0000-01-01", "二〇二六-01-01"] {
        assert!(parse_date(bad).is_err(), "{bad}");
    }
    assert!(parse_time("24:00").is_err() && parse_time("12").is_err() && parse_time("-1:00").is_err());
}

#[test]
fn java_patterns_are_written_as_java_does() {
    let shanghai = zone("Asia/Shanghai");
    // Written by Java's SimpleDateFormat in Locale.US for this moment.
    let moment = at(&shanghai, "2026-12-27 15:04:09").plus_ms(7);
    for (pattern, wanted) in [
        ("yyyy-MM-dd HH:mm:ss", "2026-12-27 15:04:09"),
        ("yyyyMMddHHmmssSSS", "20261227150409007"),
        ("yy-M-d H:m:s.S", "26-12-27 15:4:9.7"),
        ("yyyy年MM月dd日", "2026年12月27日"),
        ("yyyy'y' ''M'' 'it''s'", "2026y '12' it's"),
        ("EEE EEEE MMM MMMM", "Sun Sunday Dec December"),
        ("hh:mm a K k", "03:04 PM 3 15"),
        ("D F u w W YYYY", "361 4 7 1 5 2027"),
        ("Z X XX XXX z", "+0800 +08 +0800 +08:00 CST"),
        ("", ""),
    ] {
        let pattern = DatePattern::parse(pattern).unwrap();
        assert_eq!(pattern.format(shanghai.wall(moment), moment, &shanghai), wanted, "{}", pattern.source);
    }
    let utc = DatePattern::parse("X XXX Z").unwrap();
    assert_eq!(utc.format(Zone::UTC.wall(moment), moment, &Zone::UTC), "Z Z +0000");
}

#[test]
fn unknown_letters_and_open_quotes_are_faults() {
    for (pattern, place) in [("yyyy-b", "b"), ("yyyy 'open", "'open"), ("XXXX", "XXXX")] {
        let fault = DatePattern::parse(pattern).unwrap_err();
        assert_eq!(&pattern[fault.span], place);
    }
}

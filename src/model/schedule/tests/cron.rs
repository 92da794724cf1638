//! Cron lines: what is read, what is refused and where.

use super::*;

/// The text under the fault's span, and its message.
fn refused(text: &str, is_strict: bool) -> (String, String) {
    match Cron::parse(text, is_strict) {
        Ok(_) => panic!("{text} was read"),
        Err(fault) => (text[fault.span.clone()].to_owned(), fault.message.english()),
    }
}

fn fires(text: &str, n: usize) -> Vec<String> {
    let walls = walls(&cron(text), &zone("UTC"), "2026-01-01 00:00:00", n);
    walls.iter().map(|wall| wall[..16].to_owned()).collect()
}

#[test]
fn fields_are_lists_of_numbers_names_ranges_and_steps() {
    assert_eq!(fires("0,30 1 * * *", 3), ["2026-01-01 01:00", "2026-01-01 01:30", "2026-01-02 01:00"]);
    assert_eq!(
        fires("10-20/5,50 0 * * *", 4)[..],
        ["2026-01-01 00:10", "2026-01-01 00:15", "2026-01-01 00:20", "2026-01-01 00:50"]
    );
    assert_eq!(fires("0 0 1 FEB,aug *", 2), ["2026-02-01 00:00", "2026-08-01 00:00"]);
    assert_eq!(fires("0 0 * january-march MON", 1), ["2026-01-05 00:00"]);
    assert_eq!(fires("  0   8  *  * 1-5 ", 1), ["2026-01-01 08:00"], "blanks may be several");
    assert_eq!(fires("0 0 29 2 *", 2), ["2028-02-29 00:00", "2032-02-29 00:00"]);
}

#[test]
fn zero_and_seven_are_sunday() {
    let sundays = ["2026-01-04 00:00", "2026-01-11 00:00"];
    for text in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * * Sunday", "0 0 * * 7-7"] {
        assert_eq!(fires(text, 2), sundays, "{text}");
    }
    assert_eq!(fires("0 0 * * 5-7", 3), ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"]);
    assert_eq!(fires("0 0 * * fri-sun", 3), ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"]);
    assert_eq!(fires("0 0 * * 0-7", 2), ["2026-01-02 00:00", "2026-01-03 00:00"]);
}

#[test]
fn w04_weekly_crons_fire_weekly() {
    assert_eq!(
        walls(&cron("30 8 * * 1-5"), &zone("Asia/Shanghai"), "2026-11-04 09:00:00", 4),
        [
            "2026-11-05 08:30:00+08:00",
            "2026-11-06 08:30:00+08:00",
            "2026-11-09 08:30:00+08:00",
            "2026-11-10 08:30:00+08:00"
        ]
    );
    assert_eq!(
        walls(&cron("0 0 * * 1"), &zone("Asia/Shanghai"), "2026-12-07 00:00:00", 4),
        [
            "2026-12-14 00:00:00+08:00",
            "2026-12-21 00:00:00+08:00",
            "2026-12-28 00:00:00+08:00",
            "2027-01-04 00:00:00+08:00"
        ]
    );
}

#[test]
fn day_fields_are_joined_by_either_unless_one_begins_with_a_star() {
    assert_eq!(
        fires("0 0 13 * 5", 4),
        ["2026-01-02 00:00", "2026-01-09 00:00", "2026-01-13 00:00", "2026-01-16 00:00"]
    );
    assert_eq!(fires("0 0 */2 * 5", 2), ["2026-01-09 00:00", "2026-01-23 00:00"]);
    let (_, warnings) = Cron::parse("0 0 */2 * 5", true).unwrap();
    assert_eq!(warnings.len(), 1);
}

#[test]
fn the_last_day_the_last_friday_and_the_second_friday() {
    assert_eq!(fires("0 0 L * *", 3), ["2026-01-31 00:00", "2026-02-28 00:00", "2026-03-31 00:00"]);
    assert_eq!(fires("0 0 15,L 2 *", 2), ["2026-02-15 00:00", "2026-02-28 00:00"]);
    assert_eq!(fires("0 0 * * 5L", 2), ["2026-01-30 00:00", "2026-02-27 00:00"]);
    assert_eq!(fires("0 0 * 7 5L", 1), ["2026-07-31 00:00"], "not the 24th, a week before the end");
    assert_eq!(fires("0 0 * * friL", 1), ["2026-01-30 00:00"]);
    assert_eq!(fires("0 0 * * 5#2", 2), ["2026-01-09 00:00", "2026-02-13 00:00"]);
    assert_eq!(fires("0 0 * * mon#1,7L", 2), ["2026-01-05 00:00", "2026-01-25 00:00"]);
    assert_eq!(fires("0 0 * * 1#5", 2), ["2026-03-30 00:00", "2026-06-29 00:00"]);
    assert_eq!(fires("0 0 L * 1#1", 3), ["2026-01-05 00:00", "2026-01-31 00:00", "2026-02-02 00:00"], "either");
}

#[test]
fn a_far_day_is_found_and_an_impossible_one_is_given_up() {
    let leap_monday = fires("0 0 29 2 *", 1);
    assert_eq!(leap_monday, ["2028-02-29 00:00"]);
    // A 29 February that is a first Tuesday's fifth: once in 28 years.
    assert_eq!(fires("0 0 * 2 2#5", 1), ["2028-02-29 00:00"]);
    let never = cron("0 0 30 2 *");
    assert_eq!(next_fire(&never, &Zone::UTC, Timestamp(0)), None);
    assert_eq!(previous_fire(&never, &Zone::UTC, Timestamp(0)), None);
    assert_eq!(Cron::parse("0 0 30 2 *", false).unwrap().1.len(), 1, "and a warning says so");
    assert!(Cron::parse("0 0 30 1,2 *", true).unwrap().1.is_empty());
}

#[test]
fn more_than_five_fields_are_a_warning_or_an_error() {
    let (cron, warnings) = Cron::parse("0 8 * * 1 2026 x", false).unwrap();
    assert_eq!(cron.minutes(), 1);
    assert_eq!(&"0 8 * * 1 2026 x"[warnings[0].span.clone()], "2026 x");
    assert_eq!(refused("0 8 * * 1 2026", true).0, "2026");
}

#[test]
fn faults_name_the_place() {
    for (text, place) in [
        ("61 * * * *", "61"),
        ("0 24 * * *", "24"),
        ("0 0 0 * *", "0"),
        ("0 0 1 13 *", "13"),
        ("0 0 * * 8", "8"),
        ("0 0 * * mun", "mun"),
        ("1-x * * * *", "x"),
        ("1,,2 * * * *", ""),
        ("*/0 * * * *", "0"),
        ("0 22-2 * * *", "22-2"),
        ("0 0 15W * *", "15W"),
        ("0 0 * * L", "L"),
        ("0 0 * * 5#6", "5#6"),
        ("-1 * * * *", ""),
        ("99999999999999999999 * * * *", "99999999999999999999"),
        ("0 0 * *", "0 0 * *"),
        ("", ""),
    ] {
        let (span, message) = refused(text, false);
        assert_eq!(span, place, "{text}: {message}");
    }
    assert!(Cron::parse("0 22-2 * * *", false).unwrap_err().hint.unwrap().english().contains("22-23,0-2"));
}

#[test]
fn words_of_other_crons_are_warnings_or_errors() {
    for text in ["0/15 * * * *", "0 0 ? * 1", "*/90 * * * *"] {
        assert_eq!(Cron::parse(text, false).unwrap().1.len(), 1, "{text}");
        assert!(Cron::parse(text, true).is_err(), "{text}");
    }
}

#[test]
fn a_cron_reads_back_from_its_stored_form() {
    for text in ["0 0 L * 5#2", "*/7 1-3 * feb *", "every 15 seconds"] {
        let (cron, _) = Cron::parse(text, false).unwrap();
        let bytes = rmp_serde::to_vec_named(&cron).unwrap();
        assert_eq!(rmp_serde::from_slice::<Cron>(&bytes).unwrap(), cron);
    }
}

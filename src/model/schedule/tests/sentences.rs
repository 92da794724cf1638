//! English sentences equal the cron line that they stand for, or are refused.

use super::*;

#[test]
fn sentences_equal_their_cron_lines() {
    for (sentence, line) in [
        ("every minute", "* * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("Every Hour", "0 * * * *"),
        ("every other hour", "0 */2 * * *"),
        ("every hour at :30", "30 * * * *"),
        ("every day", "0 0 * * *"),
        ("every midnight", "0 0 * * *"),
        ("every day at 3:30", "30 3 * * *"),
        ("at 3:30 every day", "30 3 * * *"),
        ("3:30", "30 3 * * *"),
        ("daily at 1am", "0 1 * * *"),
        ("every day at 12am", "0 0 * * *"),
        ("every day at 12:15 pm", "15 12 * * *"),
        ("every day at 1 am and 1 pm", "0 1,13 * * *"),
        ("every day at 9am to 5pm", "0 9-17 * * *"),
        ("every day at 8:15, 12:15 and 18:15", "15 8,12,18 * * *"),
        ("midnight on monday", "0 0 * * 1"),
        ("Every midnight on Monday", "0 0 * * 1"),
        ("noon on friday", "0 12 * * 5"),
        ("every monday", "0 0 * * 1"),
        ("mondays at 8:00", "0 8 * * 1"),
        ("every monday, wednesday and friday at 8:00", "0 8 * * 1,3,5"),
        ("every mon-fri at 8:30", "30 8 * * 1-5"),
        ("at 2:30 am every weekday", "30 2 * * 1-5"),
        ("every day at noon on the weekend", "0 12 * * 0,6"),
        ("every 10 minutes on weekdays", "*/10 * * * 1-5"),
        ("every week", "0 0 * * 1"),
        ("weekly at 6:00", "0 6 * * 1"),
        ("every month", "0 0 1 * *"),
        ("every other month", "0 0 1 */2 *"),
        ("every month on the 15th at noon", "0 12 15 * *"),
        ("every 1st at 1am", "0 1 1 * *"),
        ("every 15th day at 1am", "0 1 15 * *"),
        ("on the 1st and the 15th at 1am", "0 1 1,15 * *"),
        ("on the last day of every month at 23:00", "0 23 L * *"),
        ("every last day at 23:00", "0 23 L * *"),
        ("on the first monday of the month at noon", "0 12 * * 1#1"),
        ("at noon on the last friday", "0 12 * * 5L"),
        ("every day in april", "0 0 * 4 *"),
        ("every april", "0 0 1 4 *"),
        ("every minute in april and may", "* * * 4,5 *"),
        ("every day in november to february at 1am", "0 1 * 1,2,11,12 *"),
        ("every year", "0 0 1 1 *"),
        ("every other day", "0 0 */2 * *"),
        ("every day at midnight", "0 0 * * *"),
        ("every hour on the weekend", "0 * * * 0,6"),
    ] {
        let (read, _) = Cron::parse(sentence, false).unwrap_or_else(|fault| panic!("{sentence}: {fault}"));
        let (wanted, _) = Cron::parse(line, true).unwrap();
        // The star marks differ where they decide nothing; the fires must not.
        assert_eq!(
            (read.minutes(), read.hours(), read.seconds()),
            (wanted.minutes(), wanted.hours(), None),
            "{sentence}"
        );
        let first = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        for date in first.iter_days().take(800) {
            assert_eq!(read.days().matches(date), wanted.days().matches(date), "{sentence} on {date}");
        }
    }
}

#[test]
fn seconds_of_a_sentence_win() {
    let walls = walls(&cron("every 30 seconds"), &zone("UTC"), "2026-01-01 00:00:00", 2);
    assert_eq!(walls, ["2026-01-01 00:00:30+00:00", "2026-01-01 00:01:00+00:00"]);
    let walls = super::walls(&cron("every day at 3:30:15"), &zone("UTC"), "2026-01-01 00:00:00", 1);
    assert_eq!(walls, ["2026-01-01 03:30:15+00:00"]);
}

#[test]
fn what_is_not_fully_understood_is_refused_at_its_word() {
    for (text, place) in [
        ("every", ""),
        ("every foo", "foo"),
        ("every mondey", "mondey"),
        ("every day at", ""),
        ("every day at 25:00", "25:00"),
        ("every day at 13pm", "13pm"),
        ("every day at three", "three"),
        ("every day at 8:00 sharp", "sharp"),
        ("every day but monday", "but"),
        ("every 90 minutes", "90 minutes"),
        ("every 0 minutes", "0 minutes"),
        ("every 2 weeks", "2 weeks"),
        ("every second day", "second"),
        ("every day in the year 2013", "year"),
        ("every day in 2013", "2013"),
        ("every day at 3:30 and 4:45", "3:30 and 4:45"),
        ("every 5 minutes at 3:30", "every 5 minutes at 3:30"),
        ("every day every month", "month"),
        ("friday the 13th", "the"),
        ("on the 13th on friday", "on the 13th on friday"),
        ("每天凌晨1点", "每天凌晨1点"),
        ("and", "and"),
        ("monthly,", ""),
    ] {
        match Cron::parse(text, false) {
            Ok((cron, _)) => panic!("{text} was read as {cron:?}"),
            Err(fault) => assert_eq!(&text[fault.span.clone()], place, "{text}: {fault}"),
        }
    }
    let fault = Cron::parse("every mondey", false).unwrap_err();
    assert_eq!(fault.hint.unwrap().english(), "did you mean monday?");
}

#[test]
fn uneven_periods_are_a_warning_or_an_error() {
    let (cron, warnings) = Cron::parse("every 7 minutes", false).unwrap();
    assert_eq!(cron.minutes().count_ones(), 9);
    assert!(warnings[0].hint.as_ref().unwrap().english().contains("every=\"7m\""));
    assert!(Cron::parse("every 7 minutes", true).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,40}|[0-9*,/#L? -]{0,30}|(every|on|at|the|last|1st|15|:30|noon|monday|day|to|,| ){0,12}") {
        let _ = Cron::parse(&text, false);
        let _ = Cron::parse(&text, true);
        let _ = Shift::parse(&text);
        let _ = DatePattern::parse(&text);
        let _ = Zone::parse(&text);
        let _ = (parse_date(&text), parse_datetime(&text), parse_time(&text));
    }
}

//! A line of akkaflow's into lines of ours. Pure: the day is an argument.

use chrono::{Days, NaiveDate, SecondsFormat, TimeDelta, TimeZone};

use crate::model::message::Message;
use crate::say;

/// Rows of a search, as many as one page has.
const SEARCH_ROWS: &str = "500";
/// What is shown of the last runs of a workflow.
const LOG_ROWS: &str = "100";

/// What a line of akkaflow comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Translated {
    Lines(Vec<Line>),
    /// Understood, and there is nothing to do.
    Nothing(Message),
    Usage {
        noun: Option<&'static str>,
        was_asked: bool,
    },
}

/// One line of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    words: Vec<String>,
    pub prints: Prints,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// What our verb prints.
    Text,
    /// With all it has.
    Wide,
    /// The object that akkaflow printed; `data` is the name or number of what was made.
    Reply { has_data: bool },
}

/// What was typed is no line of akkaflow's.
#[derive(Debug, Clone, PartialEq)]
pub struct Misuse {
    pub noun: Option<&'static str>,
    pub said: Message,
}

impl Line {
    fn new(prints: Prints, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), prints }
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// As it could be typed.
    pub fn text(&self) -> String {
        let quoted = |word: &str| {
            let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@+%".contains(c);
            if !word.is_empty() && word.chars().all(is_plain) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        self.words().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

const REPLY: Prints = Prints::Reply { has_data: false };
const REPLY_WITH_DATA: Prints = Prints::Reply { has_data: true };

/// `today` and `zone` are where the day of a search is.
pub fn translate<Z: TimeZone>(words: &[String], today: NaiveDate, zone: &Z) -> Result<Translated, Misuse> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((noun, rest)) = words.split_first() else {
        return Ok(Translated::Usage { noun: None, was_asked: false });
    };
    let translated = match bare(noun) {
        "front" => front(rest),
        "instance" => instance(rest, today, zone),
        "workflow" => workflow(rest),
        "util" => util(rest),
        "help" | "h" => return Ok(Translated::Usage { noun: None, was_asked: true }),
        _ => return Err(Misuse { noun: None, said: say!("akkaflow has no command \"{}\"", *noun) }),
    };
    let noun = ["front", "instance", "workflow", "util"].into_iter().find(|known| *known == bare(noun));
    match translated {
        Ok(translated) => Ok(translated),
        Err(Wrong::Nothing) => Ok(Translated::Usage { noun, was_asked: false }),
        Err(Wrong::Help) => Ok(Translated::Usage { noun, was_asked: true }),
        Err(Wrong::Said(said)) => Err(Misuse { noun, said }),
    }
}

enum Wrong {
    /// No verb at all.
    Nothing,
    Help,
    Said(Message),
}

fn front(rest: &[&str]) -> Result<Translated, Wrong> {
    let given = Given::read(rest, &[], &[])?;
    given.none()?;
    Ok(lines([Line::new(Prints::Wide, ["status"])]))
}

fn instance<Z: TimeZone>(rest: &[&str], today: NaiveDate, zone: &Z) -> Result<Translated, Wrong> {
    let (verb, rest) = verb(rest)?;
    Ok(lines([match verb {
        "info" => {
            let given = Given::read(rest, &["log", "xml"], &[])?;
            let id = given.one("ID")?;
            match (given.has("log"), given.has("xml")) {
                (true, true) => return Err(Wrong::Said(say!("either --log or --xml"))),
                (true, false) if is_past(id) => Line::new(Prints::Text, ["history", "show", id, "--log"]),
                (false, false) if is_past(id) => Line::new(Prints::Text, ["history", "show", id]),
                (true, false) => Line::new(Prints::Text, ["instance", "logs", id]),
                (false, true) => Line::new(Prints::Text, ["instance", "show", id, "--xml"]),
                (false, false) => Line::new(Prints::Text, ["instance", "show", id]),
            }
        }
        "kill" => Line::new(REPLY, ["instance", "kill", Given::read(rest, &[], &[])?.one("ID")?]),
        "del" => Line::new(REPLY, ["instance", "delete", Given::read(rest, &[], &[])?.one("ID")?]),
        "rerun" => {
            let given = Given::read(rest, &["recover"], &[])?;
            let mode = if given.has("recover") { "--from-failed" } else { "--all" };
            Line::new(REPLY_WITH_DATA, ["instance", "rerun", given.one("ID")?, mode])
        }
        "search" => search(rest, today, zone)?,
        other => return Err(no_verb("instance", other)),
    }]))
}

/// akkaflow's own ids are eight hexadecimal digits; ours are numbers.
fn is_past(id: &str) -> bool {
    id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()) && !id.bytes().all(|b| b.is_ascii_digit())
}

/// Days are whole: the last one counts too.
fn search<Z: TimeZone>(rest: &[&str], today: NaiveDate, zone: &Z) -> Result<Line, Wrong> {
    let given = Given::read(rest, &[], &["sdate", "edate", "creator", "status", "key"])?;
    given.none()?;
    let day = |name: &str| match given.value(name) {
        None => Ok(None),
        Some(text) => NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map(Some).map_err(|_| {
            Wrong::Said(say!("{} must be a day such as 2026-11-19, not \"{}\"", format!("--{name}"), text))
        }),
    };
    let (from, to) = (day("sdate")?, day("edate")?);
    let mut words = vec!["instance".to_owned(), "list".to_owned()];
    let mut with = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    // Without days it is about today; with one of them, from or until there.
    let from = from.or_else(|| to.is_none().then_some(today));
    if let Some(from) = from {
        with("--since", &midnight(from, zone));
    }
    if let Some(after) = to.and_then(|to| to.checked_add_days(Days::new(1))) {
        with("--until", &midnight(after, zone));
    }
    if let Some(status) = given.value("status") {
        with("--state", state(status)?);
    }
    if let Some(creator) = given.value("creator") {
        with("--creator", creator);
    }
    if let Some(key) = given.value("key") {
        with("--match", key);
    }
    with("--limit", SEARCH_ROWS);
    Ok(Line::new(Prints::Text, words))
}

/// The beginning of a day; where clocks are put forward just then, an hour later.
fn midnight<Z: TimeZone>(day: NaiveDate, zone: &Z) -> String {
    let local = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    let found = [0, 1, 2].into_iter().find_map(|h| zone.from_local_datetime(&(local + TimeDelta::hours(h))).earliest());
    let fixed = found.map_or_else(|| local.and_utc().fixed_offset(), |at| at.fixed_offset());
    fixed.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// akkaflow's words for a state, and ours.
fn state(word: &str) -> Result<&'static str, Wrong> {
    const WORDS: &[(&str, &[&str])] = &[
        ("queued", &["就绪", "W_PREP", "排队"]),
        ("running", &["运行", "运行中", "W_RUNNING"]),
        ("paused", &["挂起", "W_SUSPENDED"]),
        ("succeeded", &["成功", "W_SUCCESSED", "success"]),
        ("failed", &["失败", "W_FAILED"]),
        ("killed", &["杀死", "已杀死", "W_KILLED"]),
    ];
    let is_word = |known: &str| known.eq_ignore_ascii_case(word.trim());
    let found = WORDS.iter().find(|(ours, theirs)| is_word(ours) || theirs.iter().any(|known| is_word(known)));
    found.map(|(ours, _)| *ours).ok_or_else(|| {
        Wrong::Said(say!("--status is one of {}, not \"{}\"", "成功, 失败, 杀死, 运行, 就绪, 挂起", word))
    })
}

fn workflow(rest: &[&str]) -> Result<Translated, Wrong> {
    let (verb, rest) = verb(rest)?;
    let plain = || Given::read(rest, &[], &[]);
    Ok(lines([match verb {
        "add" => Line::new(REPLY_WITH_DATA, ["workflow", "apply", plain()?.one("FILE")?]),
        "check" => Line::new(REPLY, ["workflow", "check", plain()?.one("FILE")?]),
        "del" => Line::new(REPLY, ["workflow", "delete", plain()?.one("NAME")?]),
        "reset" => Line::new(REPLY, ["workflow", "reset", plain()?.one("NAME")?]),
        "info" => {
            let given = Given::read(rest, &["xml", "log"], &[])?;
            let name = given.one("NAME")?;
            match (given.has("log"), given.has("xml")) {
                (true, true) => return Err(Wrong::Said(say!("either --log or --xml"))),
                (true, false) => {
                    let list = ["instance", "list", "--workflow", name, "--limit", LOG_ROWS];
                    return Ok(lines([
                        Line::new(Prints::Text, ["workflow", "versions", name]),
                        Line::new(Prints::Text, list),
                    ]));
                }
                (false, true) => Line::new(Prints::Text, ["workflow", "show", name, "--xml"]),
                (false, false) => Line::new(Prints::Text, ["workflow", "show", name]),
            }
        }
        "list" => {
            let given = plain()?;
            Line::new(Prints::Text, ["workflow", "tree"].into_iter().chain(given.at_most_one()?))
        }
        "run" => {
            let given = Given::read(rest, &[], &["param", "p"])?;
            let mut words = vec!["run".to_owned(), given.one("NAME")?.to_owned()];
            let params = given.value("param").or(given.value("p")).unwrap_or_default();
            words.extend(
                params.split('&').filter(|one| !one.is_empty()).flat_map(|one| ["-p".to_owned(), one.to_owned()]),
            );
            Line::new(REPLY_WITH_DATA, words)
        }
        "trigger" => {
            let given = Given::read(rest, &["blood"], &[])?;
            let downstream = given.has("blood").then_some("--with-downstream");
            Line::new(REPLY_WITH_DATA, ["workflow", "trigger", given.one("NAME")?].into_iter().chain(downstream))
        }
        // As an example in akkaflow's own usage has it, of an instance.
        "kill" => Line::new(REPLY, ["instance", "kill", plain()?.one("ID")?]),
        other => return Err(no_verb("workflow", other)),
    }]))
}

fn util(rest: &[&str]) -> Result<Translated, Wrong> {
    let (verb, rest) = verb(rest)?;
    let given = Given::read(rest, &[], &[])?;
    match verb {
        "reset-all" => {
            given.none()?;
            Ok(lines([Line::new(REPLY, ["workflow", "reset", "--all"])]))
        }
        "del-dir" => {
            let dir = given.one("DIR")?;
            Ok(Translated::Nothing(say!(
                "{}: a directory without workflows is not there; nothing needs to be deleted",
                dir
            )))
        }
        other => Err(no_verb("util", other)),
    }
}

fn lines(lines: impl IntoIterator<Item = Line>) -> Translated {
    Translated::Lines(lines.into_iter().collect())
}

fn no_verb(noun: &str, verb: &str) -> Wrong {
    Wrong::Said(say!("akkaflow has no command \"{}\"", format!("{noun} -{verb}")))
}

/// `-info` is `info`; so are `--info` and the word alone.
fn bare(word: &str) -> &str {
    word.trim_start_matches('-')
}

fn verb<'a>(rest: &'a [&'a str]) -> Result<(&'a str, &'a [&'a str]), Wrong> {
    match rest.split_first() {
        None => Err(Wrong::Nothing),
        Some((word, rest)) => match bare(word) {
            "help" | "h" => Err(Wrong::Help),
            verb => Ok((verb, rest)),
        },
    }
}

/// What stands behind the verb, in whatever order.
struct Given<'a> {
    targets: Vec<&'a str>,
    flags: Vec<&'a str>,
    values: Vec<(&'a str, &'a str)>,
}

impl<'a> Given<'a> {
    fn read(words: &[&'a str], flags: &[&str], valued: &[&str]) -> Result<Self, Wrong> {
        let mut given = Given { targets: Vec::new(), flags: Vec::new(), values: Vec::new() };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                given.targets.push(word);
                continue;
            }
            let (name, value) = bare(word).split_once('=').map_or((bare(word), None), |(n, v)| (n, Some(v)));
            if valued.contains(&name) {
                let Some(value) = value.or_else(|| words.next()) else {
                    return Err(Wrong::Said(say!("{} needs a value", word)));
                };
                given.values.push((name, value));
            } else if flags.contains(&name) && value.is_none() {
                given.flags.push(name);
            } else if matches!(name, "help" | "h") {
                return Err(Wrong::Help);
            } else {
                return Err(Wrong::Said(say!("akkaflow has no option \"{}\" here", word)));
            }
        }
        Ok(given)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.values.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }

    fn one(&self, what: &'static str) -> Result<&'a str, Wrong> {
        match self.targets.as_slice() {
            [one] => Ok(one),
            [] => Err(Wrong::Said(say!("{} is missing", what))),
            [_, more, ..] => Err(too_much(more)),
        }
    }

    fn at_most_one(&self) -> Result<Option<&'a str>, Wrong> {
        match self.targets.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [_, more, ..] => Err(too_much(more)),
        }
    }

    fn none(&self) -> Result<(), Wrong> {
        self.targets.first().map_or(Ok(()), |more| Err(too_much(more)))
    }
}

fn too_much(word: &str) -> Wrong {
    Wrong::Said(say!("\"{}\" is too much", word))
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;
    use crate::cli::akkaflow::usage;
    use crate::cli::registry;

    const REPLY_ID: Prints = REPLY_WITH_DATA;

    /// Every line of akkaflow's usage, in each spelling that its users have, and what it is here.
    const LINES: &[(&str, Prints, &str)] = &[
        ("front", Prints::Wide, "status"),
        ("instance -info 12", Prints::Text, "instance show 12"),
        ("instance -info 12 --log", Prints::Text, "instance logs 12"),
        ("instance -info --log 12", Prints::Text, "instance logs 12"),
        ("instance -info 12 --xml", Prints::Text, "instance show 12 --xml"),
        ("instance -info 0a1b2c3d", Prints::Text, "history show 0a1b2c3d"),
        ("instance -info 0a1b2c3d --log", Prints::Text, "history show 0a1b2c3d --log"),
        ("instance -kill 12", REPLY, "instance kill 12"),
        ("instance -del 12", REPLY, "instance delete 12"),
        ("instance -rerun 12", REPLY_ID, "instance rerun 12 --all"),
        ("instance -rerun 12 --recover", REPLY_ID, "instance rerun 12 --from-failed"),
        ("instance -search", Prints::Text, "instance list --since 2026-11-27T00:00:00+08:00 --limit 500"),
        (
            "instance -search --sdate 2026-11-01 --edate 2026-11-02",
            Prints::Text,
            "instance list --since 2026-11-01T00:00:00+08:00 --until 2026-11-03T00:00:00+08:00 --limit 500",
        ),
        (
            "instance -search --edate 2026-11-02",
            Prints::Text,
            "instance list --until 2026-11-03T00:00:00+08:00 --limit 500",
        ),
        (
            "instance -search --sdate 2026-11-01 --status 成功 --key 日报",
            Prints::Text,
            "instance list --since 2026-11-01T00:00:00+08:00 --state succeeded --match 日报 --limit 500",
        ),
        (
            "instance -search --sdate=2026-11-01 --status=失败 --creator Kent",
            Prints::Text,
            "instance list --since 2026-11-01T00:00:00+08:00 --state failed --creator Kent --limit 500",
        ),
        (
            "instance -search --edate 2026-11-02 --status 杀死",
            Prints::Text,
            "instance list --until 2026-11-03T00:00:00+08:00 --state killed --limit 500",
        ),
        (
            "instance -search --status 运行",
            Prints::Text,
            "instance list --since 2026-11-27T00:00:00+08:00 --state running --limit 500",
        ),
        ("workflow -add a.xml", REPLY_ID, "workflow apply a.xml"),
        ("workflow -check a.xml", REPLY, "workflow check a.xml"),
        ("workflow -del 日报", REPLY, "workflow delete 日报"),
        ("workflow -reset 日报", REPLY, "workflow reset 日报"),
        ("workflow -info 日报", Prints::Text, "workflow show 日报"),
        ("workflow -info 日报 --xml", Prints::Text, "workflow show 日报 --xml"),
        (
            "workflow -info 日报 --log",
            Prints::Text,
            "workflow versions 日报; instance list --workflow 日报 --limit 100",
        ),
        ("workflow -list", Prints::Text, "workflow tree"),
        ("workflow -list /dw/ods", Prints::Text, "workflow tree /dw/ods"),
        ("workflow -run 日报", REPLY_ID, "run 日报"),
        ("workflow -run --param a=1&b=x=y&c= 日报", REPLY_ID, "run 日报 -p a=1 -p b=x=y -p c="),
        ("workflow -run 日报 --param a=1", REPLY_ID, "run 日报 -p a=1"),
        ("workflow -run -p a=1 日报", REPLY_ID, "run 日报 -p a=1"),
        ("workflow -trigger 日报", REPLY_ID, "workflow trigger 日报"),
        ("workflow -trigger 日报 --blood", REPLY_ID, "workflow trigger 日报 --with-downstream"),
        ("workflow -trigger --blood 日报", REPLY_ID, "workflow trigger 日报 --with-downstream"),
        ("util -reset-all", REPLY, "workflow reset --all"),
        ("util --reset-all", REPLY, "workflow reset --all"),
        ("util reset-all", REPLY, "workflow reset --all"),
    ];

    fn translated(line: &str) -> Result<Translated, Misuse> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let today = NaiveDate::from_ymd_opt(2026, 11, 27).unwrap();
        translate(&words, today, &FixedOffset::east_opt(8 * 3600).unwrap())
    }

    #[test]
    fn akka_11_every_line_of_the_usage_is_a_line_of_ours() {
        for (theirs, prints, ours) in LINES {
            let Ok(Translated::Lines(lines)) = translated(theirs) else { panic!("{theirs}: {:?}", translated(theirs)) };
            let text: Vec<String> = lines.iter().map(Line::text).collect();
            assert_eq!(text.join("; "), *ours, "{theirs}");
            for line in &lines {
                assert_eq!(line.prints, *prints, "{theirs}");
                let parsed =
                    registry::command().try_get_matches_from(std::iter::once("ractorflow").chain(line.words()));
                assert!(parsed.is_ok(), "{theirs}: {}", parsed.unwrap_err());
            }
        }
        let nothing = translated("util -del-dir /A/B").unwrap();
        assert!(matches!(nothing, Translated::Nothing(said) if said.english().contains("/A/B")));
    }

    #[test]
    fn an_example_of_akkaflows_usage_kills_an_instance_under_the_wrong_noun() {
        let Ok(Translated::Lines(lines)) = translated("workflow -kill 12") else { panic!("it is understood") };
        assert_eq!(lines.iter().map(Line::text).collect::<Vec<_>>(), ["instance kill 12"]);
        assert_eq!(lines[0].prints, REPLY);
    }

    #[test]
    fn the_usage_names_every_line_and_no_other() {
        let head = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let mut tried: Vec<String> = LINES.iter().map(|(line, ..)| head(line)).collect();
        tried.push("util -del-dir".to_owned());
        for row in usage::ROWS {
            let line = format!("{} {}", row.noun, row.words);
            assert!(tried.contains(&head(&line)), "{line} is not tried");
        }
        for line in tried.iter().filter(|line| line.contains(" -") && !line.contains(" --")) {
            assert!(usage::ROWS.iter().any(|row| head(&format!("{} {}", row.noun, row.words)) == *line), "{line}");
        }
    }

    #[test]
    fn without_words_the_usage_is_an_error_and_with_help_it_is_not() {
        let usage = |noun, was_asked| Ok(Translated::Usage { noun, was_asked });
        assert_eq!(translated(""), usage(None, false));
        assert_eq!(translated("help"), usage(None, true));
        assert_eq!(translated("instance"), usage(Some("instance"), false));
        assert_eq!(translated("workflow --help"), usage(Some("workflow"), true));
        assert_eq!(translated("workflow -run -h"), usage(Some("workflow"), true));
    }

    #[test]
    fn what_is_no_line_of_akkaflow_is_said_with_the_usage_of_its_noun() {
        for (line, noun, said) in [
            ("cluster", None, "\"cluster\""),
            ("instance -stop 1", Some("instance"), "\"instance -stop\""),
            ("instance -kill", Some("instance"), "ID is missing"),
            ("instance -kill 1 2", Some("instance"), "\"2\" is too much"),
            ("instance -info 1 --log --xml", Some("instance"), "either"),
            ("instance -search --status 睡觉", Some("instance"), "睡觉"),
            ("instance -search --sdate 2026-13-01", Some("instance"), "--sdate must be a day"),
            ("instance -search --key", Some("instance"), "--key needs a value"),
            ("workflow -add", Some("workflow"), "FILE is missing"),
            ("workflow -run 日报 --params a=1", Some("workflow"), "\"--params\""),
            ("util -del-dir", Some("util"), "DIR is missing"),
            ("front now", Some("front"), "\"now\" is too much"),
        ] {
            let misuse = translated(line).unwrap_err();
            assert_eq!(misuse.noun, noun, "{line}");
            assert!(misuse.said.english().contains(said), "{line}: {}", misuse.said.english());
        }
    }

    #[test]
    fn a_day_that_begins_an_hour_late_begins_then() {
        let zone = chrono_tz::America::Sao_Paulo;
        let day = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
        assert_eq!(midnight(day, &zone), "2018-11-04T01:00:00-02:00");
    }
}

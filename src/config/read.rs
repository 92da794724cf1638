//! Text and environment to a checked `Config`. All faults at once, each with its place and, for a key nobody
//! knows, the key that was probably meant.

use std::collections::BTreeMap;
use std::ops::{Bound, Range, RangeBounds};
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::model::duration::{self, Millis};
use crate::model::fault::nearest;
use crate::model::lease;
use crate::model::message::{AsValue, Message, Value};
use crate::say;

use super::home::Home;
use super::section::{Config, KEYS, SECTIONS};

/// A file larger than this is not a configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File { line: usize },
    Environment { variable: String },
}

/// A configuration with the origin of each of its values.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// By (section, key); what is missing here is a default.
    pub sources: BTreeMap<(String, String), Source>,
}

/// One thing that is wrong. `line` and `column` are from 1; 0 for the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: Message,
}

impl Fault {
    pub fn said(&self) -> Message {
        if self.line == 0 {
            say!("{}: {}", self.file, self.message)
        } else {
            say!("{}:{}:{} {}", self.file, self.line, self.column, self.message)
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum ConfigError {
    Unreadable { path: PathBuf, error: std::io::Error },
    TooLarge { path: PathBuf },
    Faults(Vec<Fault>),
}

impl ConfigError {
    pub fn said(&self) -> Message {
        match self {
            Self::Unreadable { path, error } => say!("cannot read {}: {}", path, error.to_string()),
            Self::TooLarge { path } => say!("{} is larger than 1 MiB", path),
            Self::Faults(faults) => Message::lines(faults.iter().map(Fault::said)),
        }
    }
}

impl Loaded {
    /// Reads the file of `home` and this process's environment over it.
    pub fn load(home: &Home) -> Result<Loaded, ConfigError> {
        let path = home.config_file();
        let unreadable = |error| ConfigError::Unreadable { path: path.clone(), error };
        let text = match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => return Err(ConfigError::TooLarge { path }),
            Ok(_) => std::fs::read_to_string(&path).map_err(unreadable)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(error)),
        };
        let shown = path.strip_prefix(home.root()).unwrap_or(&path).display().to_string();
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        read_text(&shown, &text, environment).map_err(ConfigError::Faults)
    }
}

/// The faults of a text by itself.
pub fn check_text(file: &str, text: &str) -> Vec<Fault> {
    read_text(file, text, []).err().unwrap_or_default()
}

/// `file` is how the text is called in messages.
pub fn read_text(
    file: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Vec<Fault>> {
    let at = |span: Option<Range<usize>>, message: Message| {
        let (line, column) = span.map_or((1, 1), |span| position(text, span.start));
        Fault { file: file.to_owned(), line, column, message }
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| at(error.span(), theirs(error.message()))).collect());
    }
    let (spans, unknown) = known_keys(document.get_ref());
    if !unknown.is_empty() {
        return Err(unknown.into_iter().map(|(span, message)| at(Some(span), message)).collect());
    }
    let mut table: toml::Table =
        toml::from_str(text).map_err(|error| vec![at(error.span(), theirs(error.message()))])?;
    toml::from_str::<Config>(text).map_err(|error| vec![at(error.span(), theirs(error.message()))])?;

    let mut sources: BTreeMap<(String, String), Source> =
        spans.iter().map(|(key, span)| (key.clone(), Source::File { line: position(text, span.start).0 })).collect();
    let mut faults = Vec::new();
    for (variable, value) in environment {
        match override_key(&mut table, &variable, &value) {
            None => {}
            Some(Ok(key)) => {
                sources.insert(key, Source::Environment { variable });
            }
            Some(Err(message)) => faults.push(Fault { file: variable, line: 0, column: 0, message }),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let config: Config = toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| vec![at(None, theirs(error.message()))])?;
    let wrong = check(&config);
    if wrong.is_empty() {
        return Ok(Loaded { config, sources });
    }
    let place = |(section, key, message): (&str, &str, Message)| {
        let owned = (section.to_owned(), key.to_owned());
        let message = say!("{}.{} {}", section, key, message);
        match sources.get(&owned) {
            Some(Source::Environment { variable }) => Fault { file: variable.clone(), line: 0, column: 0, message },
            Some(Source::File { .. }) => at(spans.get(&owned).cloned(), message),
            Some(Source::Default) | None => at(None, message),
        }
    };
    Err(wrong.into_iter().map(place).collect())
}

type Spans = BTreeMap<(String, String), Range<usize>>;

/// The place of every key, and the keys that do not exist.
fn known_keys(document: &DeTable<'_>) -> (Spans, Vec<(Range<usize>, Message)>) {
    let mut spans = Spans::new();
    let mut unknown = Vec::new();
    for (section, content) in document.iter() {
        let name: &str = section.get_ref();
        if !SECTIONS.iter().any(|(known, _)| *known == name) {
            let known = SECTIONS.iter().map(|(known, _)| *known);
            let kind = if matches!(content.get_ref(), DeValue::Table(_)) { say!("section") } else { say!("key") };
            unknown.push((section.span(), not_known(kind, name, nearest(name, known))));
            continue;
        }
        let DeValue::Table(keys) = content.get_ref() else {
            unknown.push((section.span(), say!("\"{}\" is a section; write [{}] on a line of its own", name, name)));
            continue;
        };
        for (key, _) in keys.iter() {
            let word: &str = key.get_ref();
            if KEYS.iter().any(|known| known.section == name && known.name == word) {
                spans.insert((name.to_owned(), word.to_owned()), key.span());
                continue;
            }
            let here = KEYS.iter().filter(|known| known.section == name).map(|known| known.name);
            let message = match nearest(word, here) {
                Some(meant) => not_known(say!("key"), word, Some(meant)),
                None => match KEYS.iter().find(|known| known.name == word) {
                    Some(other) => say!("unknown key \"{}\"; it belongs to [{}]", word, other.section),
                    None => not_known(say!("key"), word, None),
                },
            };
            unknown.push((key.span(), message));
        }
    }
    unknown.sort_by_key(|(span, _)| span.start);
    (spans, unknown)
}

fn not_known(kind: Message, word: &str, meant: Option<&str>) -> Message {
    match meant {
        Some(meant) => say!("unknown {} \"{}\", did you mean \"{}\"?", kind, word, meant),
        None => say!("unknown {} \"{}\"", kind, word),
    }
}

/// Puts `RACTORFLOW_<SECTION>__<KEY>` into the table. `None` for a variable of another kind.
fn override_key(table: &mut toml::Table, variable: &str, value: &str) -> Option<Result<(String, String), Message>> {
    let (section, key) = variable.strip_prefix("RACTORFLOW_")?.split_once("__")?;
    let (section, key) = (section.to_lowercase(), key.to_lowercase());
    let Some(known) = KEYS.iter().find(|known| known.section == section && known.name == key) else {
        let names: Vec<String> = KEYS.iter().map(|known| variable_of(known.section, known.name)).collect();
        return Some(Err(not_known(say!("setting"), variable, nearest(variable, names.iter().map(String::as_str)))));
    };
    let defaults = match toml::Value::try_from(Config::default()) {
        Ok(defaults) => defaults,
        Err(error) => return Some(Err(theirs(&error.to_string()))),
    };
    let parsed = match &defaults[known.section][known.name] {
        toml::Value::Integer(_) => value
            .trim()
            .parse()
            .map(toml::Value::Integer)
            .map_err(|_| say!("must be a whole number, not \"{}\"", value)),
        toml::Value::Boolean(_) => {
            value.trim().parse().map(toml::Value::Boolean).map_err(|_| say!("must be true or false, not \"{}\"", value))
        }
        toml::Value::Array(_) => Ok(toml::Value::Array(
            value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(toml::Value::from).collect(),
        )),
        toml::Value::String(_) | toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
            Ok(toml::Value::from(value))
        }
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(message) => return Some(Err(message)),
    };
    let mut tried = table.clone();
    let keys = tried.entry(&section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(keys) = keys {
        keys.insert(key.clone(), parsed);
    }
    // Tried one by one so that the message can name the variable that does not fit.
    if let Err(error) = toml::Value::Table(tried.clone()).try_into::<Config>() {
        return Some(Err(theirs(error.message())));
    }
    *table = tried;
    Some(Ok((section, key)))
}

/// The variable that overrides a key.
fn variable_of(section: &str, key: &str) -> String {
    format!("RACTORFLOW_{}__{}", section.to_uppercase(), key.to_uppercase())
}

fn ms(length: Millis) -> u64 {
    length.0 as u64
}

/// What is wrong so far. Each bound is given once: the check and its message are made of it.
#[derive(Default)]
struct Rules {
    wrong: Vec<(&'static str, &'static str, Message)>,
}

impl Rules {
    fn rule(&mut self, section: &'static str, key: &'static str, is_right: bool, message: Message) {
        if !is_right {
            self.wrong.push((section, key, message));
        }
    }

    fn within<N: PartialOrd + AsValue>(
        &mut self,
        section: &'static str,
        key: &'static str,
        value: N,
        range: impl RangeBounds<N>,
    ) {
        let message = match (range.start_bound(), range.end_bound()) {
            (Bound::Included(min), Bound::Included(max)) => say!("must be {} to {}", min, max),
            (Bound::Included(min), _) => say!("must be at least {}", min),
            (_, Bound::Included(max)) => say!("must be at most {}", max),
            (_, _) => return,
        };
        self.rule(section, key, range.contains(&value), message);
    }

    fn one_of(&mut self, section: &'static str, key: &'static str, value: &str, words: &[&str]) {
        self.rule(section, key, words.contains(&value), say!("must be one of {}", Value::list(words)));
    }
}

/// Voters beyond this make the cluster slower, not safer.
const MASTERS_MAX: usize = 5;

/// Rules that the types do not say, as (section, key, what is wrong).
fn check(config: &Config) -> Vec<(&'static str, &'static str, Message)> {
    let mut rules = Rules::default();
    let cluster = &config.cluster;
    let mut ids: Vec<_> = cluster.masters.iter().map(|master| master.id).collect();
    ids.sort();
    ids.dedup();
    rules.rule("cluster", "masters", !cluster.masters.is_empty(), say!("names no master"));
    rules.rule("cluster", "masters", ids.len() == cluster.masters.len(), say!("names a master twice"));
    rules.rule(
        "cluster",
        "masters",
        cluster.masters.len() <= MASTERS_MAX,
        say!("names more than {} masters", MASTERS_MAX),
    );
    rules.one_of("cluster", "tls", &cluster.tls, &["auto", "always"]);
    rules.rule(
        "cluster",
        "peer_down_ms",
        cluster.peer_down_ms > 2 * cluster.heartbeat_ms,
        say!("must be more than two heartbeats"),
    );
    rules.within("cluster", "heartbeat_ms", cluster.heartbeat_ms, 50..);
    rules.rule(
        "cluster",
        "reconnect_max_ms",
        cluster.reconnect_max_ms >= cluster.reconnect_min_ms,
        say!("is below reconnect_min_ms"),
    );
    rules.within("cluster", "call_timeout_ms", cluster.call_timeout_ms, 100..);
    rules.within("cluster", "frame_bytes_max", cluster.frame_bytes_max, 16 * 1024..);
    rules.rule(
        "cluster",
        "message_bytes_max",
        cluster.message_bytes_max >= config.master.entry_bytes_max,
        say!("must hold a log entry (master.entry_bytes_max)"),
    );
    let raft = &config.raft;
    rules.rule(
        "raft",
        "election_timeout_max_ms",
        raft.election_timeout_max_ms > raft.election_timeout_min_ms
            && raft.election_timeout_min_ms > raft.append_timeout_ms,
        say!("must be above election_timeout_min_ms, and that above append_timeout_ms"),
    );
    rules.rule(
        "raft",
        "campaign_after_ms",
        raft.campaign_after_ms >= raft.election_timeout_max_ms,
        say!("is below the vote lease"),
    );
    rules.rule(
        "raft",
        "election_timeout_min_ms",
        raft.election_timeout_min_ms > ms(lease::QUORUM_ACK_MAX),
        say!(
            "must be above {}: a leader renews leases for that long after its quorum answered",
            ms(lease::QUORUM_ACK_MAX)
        ),
    );
    rules.rule(
        "raft",
        "heartbeat_every_ms",
        raft.heartbeat_every_ms < ms(lease::QUORUM_ACK_MAX),
        say!("must be below {}: a leader whose quorum answered longer ago renews no lease", ms(lease::QUORUM_ACK_MAX)),
    );
    rules.rule(
        "master",
        "entry_bytes_max",
        config.master.entry_bytes_max > config.master.entry_target_bytes,
        say!("must be above entry_target_bytes"),
    );
    // What a timer sets in motion is never more than about half of this.
    rules.within("master", "entry_bytes_max", config.master.entry_bytes_max, 1 << 20..);
    rules.rule("master", "entry_target_bytes", config.master.entry_target_bytes > 0, say!("must not be 0"));
    rules.within("worker", "kill_grace_ms", config.worker.kill_grace_ms, ..=3_600_000);
    let logs = (config.worker.attempt_log_bytes_max, config.worker.workflow_log_bytes_max, config.worker.log_bytes_max);
    rules.within("worker", "attempt_log_bytes_max", logs.0, 64 * 1024..);
    rules.rule("worker", "workflow_log_bytes_max", logs.0 <= logs.1, say!("is below attempt_log_bytes_max"));
    rules.rule("worker", "log_bytes_max", logs.1 <= logs.2, say!("is below workflow_log_bytes_max"));
    // An event with the outputs of a node must fit into a log entry.
    let files = (config.worker.files_bytes_max, config.definitions.attached_bytes_max);
    rules.rule("worker", "files_bytes_max", files.0 >= files.1, say!("is below definitions.attached_bytes_max"));
    rules.within("worker", "output_bytes_max", config.worker.output_bytes_max, 1..=512 * 1024);
    rules.within("worker", "monitor_entries_max", config.worker.monitor_entries_max, 1..=10_000_000);
    rules.within("worker", "log_disk_percent_max", config.worker.log_disk_percent_max, 1..=99);
    rules.rule(
        "worker",
        "dispatch_age_max_ms",
        config.worker.dispatch_age_max_ms <= ms(lease::DISPATCH_AGE_MAX),
        say!(
            "must be at most {}: a leader counts on it when it waits for the end of a lease",
            ms(lease::DISPATCH_AGE_MAX)
        ),
    );
    rules.rule(
        "worker",
        "lease_ms",
        (ms(lease::LEASE_MIN)..=ms(duration::MAX)).contains(&config.worker.lease_ms),
        say!("must be at least {}, and at most ten years", ms(lease::LEASE_MIN)),
    );
    rules.within("master", "request_keys_keep_hours", config.master.request_keys_keep_hours, 1..=8760);
    rules.within("master", "request_keys_max", config.master.request_keys_max, 100..);
    rules.one_of("mail", "security", &config.mail.security, &["starttls", "tls", "none"]);
    rules.within("mail", "timeout_ms", config.mail.timeout_ms, 1_000..);
    rules.one_of("mail", "language", &config.mail.language, &["auto", "en", "zh"]);
    rules.within("mail", "group_seconds", config.mail.group_seconds, ..=600);
    rules.within("mail", "log_lines", config.mail.log_lines, ..=200);
    rules.within("mail", "give_up_hours", config.mail.give_up_hours, 1..=720);
    let url = config.http.public_url.as_str();
    let is_url = url.is_empty() || url.starts_with("http://") || url.starts_with("https://");
    rules.rule("http", "public_url", is_url, say!("must begin with http:// or https://"));
    // What a master gives at once.
    rules.within("http", "page_rows_max", config.http.page_rows_max, ..=500);
    rules.within("definitions", "depth_max", config.definitions.depth_max, ..=255);
    rules.within("http", "requests_max", config.http.requests_max, 8..=100_000);
    rules.within("http", "streams_max", config.http.streams_max, 8..=100_000);
    rules.within("http", "login_link_minutes", config.http.login_link_minutes, 1..=1440);
    rules.within("http", "session_hours", config.http.session_hours, 1..=8760);
    let retention = &config.retention;
    for (key, value) in [
        ("instances_days", retention.instances_days),
        ("instances_per_workflow", retention.instances_per_workflow),
        ("task_logs_days", retention.task_logs_days),
        ("versions_per_workflow", retention.versions_per_workflow),
        ("measurements_days", retention.measurements_days),
        ("measurements_per_node", retention.measurements_per_node),
    ] {
        rules.within("retention", key, value, 1..);
    }
    rules.rule("http", "port", config.http.port > 0, say!("must not be 0"));
    rules.rule("http", "bind", config.http.bind.parse::<std::net::IpAddr>().is_ok(), say!("must be an IP address"));
    rules.rule(
        "http",
        "page_rows",
        (1..=config.http.page_rows_max).contains(&config.http.page_rows),
        say!("must be 1 to page_rows_max"),
    );
    rules.within("definitions", "scan_interval_ms", config.definitions.scan_interval_ms, 100..);
    rules.one_of("logs", "format", &config.logs.format, &["auto", "human", "json"]);
    rules.within("logs", "files_max", config.logs.files_max, 1..);
    let cron = config.schedule.reset_cron.as_str();
    let is_cron = cron.is_empty() || crate::model::schedule::Cron::parse(cron, true).is_ok();
    rules.rule("schedule", "reset_cron", is_cron, say!("is no cron expression of five fields, such as 59 23 * * *"));
    let zone = config.time.zone.as_str();
    rules.rule(
        "time",
        "zone",
        zone == "local" || zone.parse::<chrono_tz::Tz>().is_ok(),
        say!("is not a time zone such as Asia/Shanghai"),
    );
    let names = || config.start.workers.iter().chain(&config.start.http);
    rules.rule(
        "start",
        "workers",
        names().all(|name| is_node_name(name)),
        say!("has a name that is not letters, digits, - or _"),
    );
    let mut sorted: Vec<_> = names().collect();
    sorted.sort();
    let all = sorted.len();
    sorted.dedup();
    rules.rule("start", "workers", sorted.len() == all, say!("and http name a node twice"));
    rules.rule(
        "supervise",
        "backoff_max_ms",
        config.supervise.backoff_max_ms >= config.supervise.backoff_min_ms,
        say!("is below backoff_min_ms"),
    );
    rules.wrong
}

/// Node names are parts of file names.
fn is_node_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Line and column from 1, the column in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// What the parser says, in one line.
fn theirs(message: &str) -> Message {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    Message::verbatim(lines.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        check_text("conf/ractorflow.toml", text).iter().map(|fault| fault.said().english()).collect()
    }

    fn with_environment(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        read_text("f", text, pairs).map_err(|faults| faults.iter().map(|fault| fault.said().english()).collect())
    }

    #[test]
    fn an_unknown_key_is_placed_and_the_right_one_suggested() {
        let text = "[worker]\n# 中文\n  slot = 3\nlables = []\n[htpp]\nport = 1\n[logs]\nport = 1\n";
        assert_eq!(
            faults(text),
            [
                "conf/ractorflow.toml:3:3 unknown key \"slot\", did you mean \"slots\"?",
                "conf/ractorflow.toml:4:1 unknown key \"lables\", did you mean \"labels\"?",
                "conf/ractorflow.toml:5:2 unknown section \"htpp\", did you mean \"http\"?",
                "conf/ractorflow.toml:8:1 unknown key \"port\"; it belongs to [http]",
            ]
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_placed() {
        let faults = faults("[http]\nport = \"x\"\n");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("conf/ractorflow.toml:2:8 invalid type"), "{faults:?}");
        assert!(check_text("f", "[http]\nport = 99999\n")[0].message.english().contains("u16"));
        assert!(check_text("f", "[http\n")[0].line == 1);
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_placed() {
        assert_eq!(
            faults("[cluster]\nmasters = [\"m1@a:1\", \"m1@b:1\"]\n[time]\nzone = \"Mars/Base\"\n"),
            [
                "conf/ractorflow.toml:2:1 cluster.masters names a master twice",
                "conf/ractorflow.toml:4:1 time.zone is not a time zone such as Asia/Shanghai",
            ]
        );
    }

    #[test]
    fn bounds_and_words_are_said_as_they_are_checked() {
        for (text, expected) in [
            ("[http]\npage_rows_max = 501\n", "http.page_rows_max must be at most 500"),
            ("[cluster]\nheartbeat_ms = 49\n", "cluster.heartbeat_ms must be at least 50"),
            ("[worker]\noutput_bytes_max = 0\n", "worker.output_bytes_max must be 1 to 524288"),
            ("[logs]\nformat = \"xml\"\n", "logs.format must be one of auto, human, json"),
        ] {
            assert_eq!(faults(text), [format!("conf/ractorflow.toml:2:1 {expected}")]);
        }
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let loaded = with_environment(
            "[http]\nport = 1\n",
            &[
                ("RACTORFLOW_HTTP__PORT", "9001"),
                ("RACTORFLOW_WORKER__LABELS", "etl, big"),
                ("RACTORFLOW_CLUSTER__MASTERS", "m1@127.0.0.1:4000"),
                ("RACTORFLOW_COMPAT__SPLICE", "true"),
                ("RACTORFLOW_HOME", "/x"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.config.http.port, 9001);
        assert_eq!(loaded.config.worker.labels, ["etl", "big"]);
        assert_eq!(loaded.config.cluster.masters, [MasterAddress::local(1, 4000)]);
        assert!(loaded.config.compat.splice);
        let key = ("http".to_owned(), "port".to_owned());
        assert_eq!(loaded.sources[&key], Source::Environment { variable: "RACTORFLOW_HTTP__PORT".to_owned() });
    }

    #[test]
    fn what_contradicts_the_timing_of_leases_is_refused() {
        for (text, expected) in [
            ("[worker]\nlease_ms = 9999\n", "worker.lease_ms must be at least 10000"),
            ("[worker]\ndispatch_age_max_ms = 5001\n", "worker.dispatch_age_max_ms must be at most 5000"),
            (
                "[raft]\nappend_timeout_ms = 500\nelection_timeout_min_ms = 600\n",
                "raft.election_timeout_min_ms must be above 600",
            ),
            ("[raft]\nheartbeat_every_ms = 600\n", "raft.heartbeat_every_ms must be below 600"),
        ] {
            let faults = with_environment(text, &[]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
        }
        let loaded = with_environment("[worker]\nlease_ms = 10000\ndispatch_age_max_ms = 1000\n", &[]).unwrap();
        assert_eq!(loaded.config.worker.lease_ms, 10_000);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (variable, value, expected) in [
            ("RACTORFLOW_HTTP__PROT", "1", "did you mean \"RACTORFLOW_HTTP__PORT\"?"),
            ("RACTORFLOW_HTTP__PORT", "x", "RACTORFLOW_HTTP__PORT: must be a whole number, not \"x\""),
            ("RACTORFLOW_HTTP__PORT", "70000", "RACTORFLOW_HTTP__PORT: "),
            ("RACTORFLOW_CLUSTER__MASTERS", "here", "is not a master"),
            ("RACTORFLOW_HTTP__BIND", "localhost", "RACTORFLOW_HTTP__BIND: http.bind must be an IP address"),
        ] {
            let faults = with_environment("", &[(variable, value)]).unwrap_err();
            assert!(faults[0].contains(expected), "{faults:?}");
        }
    }

    use super::super::value::MasterAddress;
}

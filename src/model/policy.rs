//! How an action is placed, retried, timed out and treated when its worker is lost.
//!
//! `ActionPolicy::set` is the one place that reads these attributes: the XML reader calls it for constants,
//! the engine calls it again at creation for attributes that hold `${…}`.

use serde::{Deserialize, Serialize};

use super::duration::{DurationError, Millis};
use super::lease::LEASE_MIN;
use super::message::{Message, Value};
use crate::say;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPolicy {
    /// akkaflow's `host`: the worker's host name or address; `None` = any (`-1`).
    pub host: Option<String>,
    /// Labels that must all match; `!x` excludes, `k=v` allowed.
    pub workers: Vec<String>,
    pub is_ignore: bool,
    pub retry: Retry,
    pub lost_retry_times: u32,
    pub on_lost: OnLost,
    pub on_isolation: OnIsolation,
    /// Over the node's whole life with retries; `None` = no limit.
    pub timeout: Option<Millis>,
    pub timeout_action: TimeoutAction,
    /// Of one attempt; then an ordinary failed attempt.
    pub attempt_timeout: Option<Millis>,
    /// `None` = the cluster's default.
    pub lease: Option<Millis>,
    /// Weight in worker slots, at least 1.
    pub slots: u32,
}

impl Default for ActionPolicy {
    fn default() -> Self {
        Self {
            host: None,
            workers: Vec::new(),
            is_ignore: false,
            retry: Retry::default(),
            lost_retry_times: 3,
            on_lost: OnLost::Retry,
            on_isolation: OnIsolation::Stop,
            timeout: None,
            timeout_action: TimeoutAction::Fail,
            attempt_timeout: None,
            lease: None,
            slots: 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    pub times: u32,
    pub interval: Millis,
    pub backoff: Backoff,
    /// Tenths: 20 is a factor of 2.0. 10 to 100.
    pub factor_tenths: u32,
    pub max_interval: Millis,
    pub jitter_percent: u32,
    pub on_exit: Vec<ExitRange>,
    pub not_on_exit: Vec<ExitRange>,
    /// Regexes over the failure message and the last 64 KiB of stderr, matched on the worker.
    pub on_match: Option<String>,
    pub not_on_match: Option<String>,
    pub on_timeout: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 0,
            interval: Millis(0),
            backoff: Backoff::Fixed,
            factor_tenths: 20,
            max_interval: Millis::seconds(3600),
            jitter_percent: 0,
            on_exit: Vec::new(),
            not_on_exit: Vec::new(),
            on_match: None,
            not_on_match: None,
            on_timeout: true,
        }
    }
}

/// Exit codes `from..=to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRange {
    pub from: i32,
    pub to: i32,
}

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant),* }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }
    };
}

choice!(Backoff { Fixed = "fixed", Exponential = "exponential" });
choice!(
    /// What becomes of a node whose attempt is gone with its worker.
    OnLost { Retry = "retry", Ask = "ask", Fail = "fail" }
);
choice!(
    /// What the shim does when its lease ends.
    OnIsolation { Stop = "stop", Continue = "continue" }
);
choice!(TimeoutAction { Fail = "fail", KillInstance = "kill-instance", Warn = "warn" });
choice!(
    /// What a fire does while `instance-limit` instances are live.
    Overlap { Queue = "queue", QueueOne = "queue-one", Skip = "skip", Replace = "replace", Allow = "allow" }
);
choice!(QueueOrder { Fifo = "fifo", Lifo = "lifo" });
choice!(Misfire { None = "none", Last = "last", All = "all" });
choice!(DstGap { RunAfter = "run-after", Skip = "skip" });
choice!(DstFold { First = "first", Last = "last", Both = "both" });
choice!(
    /// What happens to a workflow when its file goes.
    OnDelete { Disable = "disable", Keep = "keep", Remove = "remove" }
);
choice!(KillResult { Killed = "killed", Failed = "failed" });
choice!(MailLevel { Queued = "queued", Running = "running", Succeeded = "succeeded", Failed = "failed", Killed = "killed" });

/// A value that an attribute cannot take. The text reads after "attribute x ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum ValueError {
    Integer { text: String, min: i64 },
    Bool(String),
    Duration(#[from] DurationError),
    Choice { text: String, words: &'static [&'static str] },
    TooShort { text: String, min: Millis },
    EmptyItem,
    Empty,
    Other(Message),
}

impl ValueError {
    pub fn said(&self) -> Message {
        match self {
            ValueError::Integer { text, min } => say!("must be a whole number of at least {}, not \"{}\"", min, text),
            ValueError::Bool(text) => say!("must be true or false, not \"{}\"", text),
            ValueError::Duration(error) => error.said(),
            ValueError::Choice { text, words } => {
                say!("must be one of {}, not \"{}\"", Value::list(words.iter().copied()), text)
            }
            ValueError::TooShort { text, min } => say!("must be at least {}, not \"{}\"", min.to_string(), text),
            ValueError::EmptyItem => say!("has an empty item"),
            ValueError::Empty => say!("must not be empty"),
            ValueError::Other(message) => message.clone(),
        }
    }
}

pub fn parse_bool(text: &str) -> Result<bool, ValueError> {
    match text.trim() {
        t if t.eq_ignore_ascii_case("true") => Ok(true),
        t if t.eq_ignore_ascii_case("false") => Ok(false),
        t => Err(ValueError::Bool(t.to_owned())),
    }
}

pub fn parse_count(text: &str, min: i64) -> Result<u32, ValueError> {
    let bad = || ValueError::Integer { text: text.trim().to_owned(), min };
    let n: i64 = text.trim().parse().map_err(|_| bad())?;
    if n < min { Err(bad()) } else { u32::try_from(n).map_err(|_| bad()) }
}

/// `-1` is "none" where akkaflow has it.
pub fn parse_optional_duration(text: &str) -> Result<Option<Millis>, ValueError> {
    if text.trim() == "-1" { Ok(None) } else { Ok(Some(Millis::parse(text)?)) }
}

/// Comma list: items trimmed, none empty.
pub fn parse_list(text: &str) -> Result<Vec<String>, ValueError> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) { Err(ValueError::EmptyItem) } else { Ok(items) }
}

/// `words` helps the message; `parse` is the enum's `from_word`.
pub fn parse_choice<T>(
    text: &str,
    words: &'static [&'static str],
    parse: fn(&str) -> Option<T>,
) -> Result<T, ValueError> {
    parse(text.trim()).ok_or_else(|| ValueError::Choice { text: text.trim().to_owned(), words })
}

impl ActionPolicy {
    /// The attributes of `<action>` that `set` knows.
    pub const ATTRIBUTES: &'static [&'static str] = &[
        "host",
        "workers",
        "is-ignore",
        "retry-times",
        "interval",
        "lost-retry-times",
        "on-lost",
        "on-isolation",
        "timeout",
        "timeout-action",
        "attempt-timeout",
        "lease",
        "slots",
    ];

    /// Reads one attribute. `None` for an attribute that is not a policy.
    pub fn set(&mut self, attribute: &str, text: &str) -> Option<Result<(), ValueError>> {
        Some(match attribute {
            "host" => match text.trim() {
                "" => Err(ValueError::Empty),
                "-1" => {
                    self.host = None;
                    Ok(())
                }
                host => {
                    self.host = Some(host.to_owned());
                    Ok(())
                }
            },
            "workers" => parse_list(text).map(|v| self.workers = v),
            "is-ignore" => parse_bool(text).map(|v| self.is_ignore = v),
            "retry-times" => parse_count(text, 0).map(|v| self.retry.times = v),
            "interval" => Millis::parse(text).map(|v| self.retry.interval = v).map_err(ValueError::from),
            "lost-retry-times" => parse_count(text, 0).map(|v| self.lost_retry_times = v),
            "on-lost" => parse_choice(text, OnLost::WORDS, OnLost::from_word).map(|v| self.on_lost = v),
            "on-isolation" => {
                parse_choice(text, OnIsolation::WORDS, OnIsolation::from_word).map(|v| self.on_isolation = v)
            }
            "timeout" => parse_optional_duration(text).map(|v| self.timeout = v),
            "timeout-action" => {
                parse_choice(text, TimeoutAction::WORDS, TimeoutAction::from_word).map(|v| self.timeout_action = v)
            }
            "attempt-timeout" => parse_optional_duration(text).map(|v| self.attempt_timeout = v),
            "lease" => Millis::parse(text).map_err(ValueError::from).and_then(|v| {
                if v < LEASE_MIN {
                    Err(ValueError::TooShort { text: text.trim().to_owned(), min: LEASE_MIN })
                } else {
                    self.lease = Some(v);
                    Ok(())
                }
            }),
            "slots" => parse_count(text, 1).map(|v| self.slots = v),
            _ => return self.retry.set(attribute.strip_prefix("retry.")?, text),
        })
    }
}

impl Retry {
    /// The attributes of `<retry>` that `set` knows; `ActionPolicy::set` takes them as `retry.times` and so on.
    pub const ATTRIBUTES: &'static [&'static str] = &[
        "times",
        "interval",
        "backoff",
        "factor",
        "max-interval",
        "jitter",
        "on-exit",
        "not-on-exit",
        "on-match",
        "not-on-match",
        "on-timeout",
    ];

    /// Reads one attribute. `None` for an attribute that is none of retry's.
    pub fn set(&mut self, attribute: &str, text: &str) -> Option<Result<(), ValueError>> {
        Some(match attribute {
            "times" => parse_count(text, 0).map(|v| self.times = v),
            "interval" => Millis::parse(text).map(|v| self.interval = v).map_err(ValueError::from),
            "backoff" => parse_choice(text, Backoff::WORDS, Backoff::from_word).map(|v| self.backoff = v),
            "factor" => parse_tenths(text, 10, 100).map(|v| self.factor_tenths = v),
            "max-interval" => Millis::parse(text).map(|v| self.max_interval = v).map_err(ValueError::from),
            "jitter" => parse_percent(text, 100).map(|v| self.jitter_percent = v),
            "on-exit" => parse_exit_codes(text).map(|v| self.on_exit = v),
            "not-on-exit" => parse_exit_codes(text).map(|v| self.not_on_exit = v),
            "on-match" => parse_regex(text).map(|v| self.on_match = Some(v)),
            "not-on-match" => parse_regex(text).map(|v| self.not_on_match = Some(v)),
            "on-timeout" => parse_bool(text).map(|v| self.on_timeout = v),
            _ => return None,
        })
    }
}

/// `2` or `1.5`, in tenths.
pub fn parse_tenths(text: &str, min: u32, max: u32) -> Result<u32, ValueError> {
    let read = |text: &str| {
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(tenth) || tenth.len() != 1 {
            return None;
        }
        let tenths = whole.parse::<u32>().ok()?.checked_mul(10)? + tenth.parse::<u32>().ok()?;
        (min..=max).contains(&tenths).then_some(tenths)
    };
    read(text.trim()).ok_or_else(|| {
        let bound = |tenths: u32| f64::from(tenths) / 10.0;
        let (min, max) = (bound(min), bound(max));
        ValueError::Other(say!(
            "must be {} to {} with at most one decimal, not \"{}\"",
            min.to_string(),
            max.to_string(),
            text.trim()
        ))
    })
}

/// `20%`.
pub fn parse_percent(text: &str, max: u32) -> Result<u32, ValueError> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<u32>().ok());
    number
        .filter(|percent| *percent <= max)
        .ok_or_else(|| ValueError::Other(say!("must be 0% to {}%, not \"{}\"", max, text.trim())))
}

/// akkaflow's sizes: a number, perhaps with a fraction, and a unit that must be there.
pub fn parse_size(text: &str) -> Result<u64, ValueError> {
    let text = text.trim();
    let bad = || ValueError::Other(say!("must be a size such as 10MB, not \"{}\"", text));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let number: f64 = text[..digits].parse().map_err(|_| bad())?;
    let power = match text[digits..].trim_start().to_ascii_uppercase().as_str() {
        "B" => 0,
        "K" | "KB" => 1,
        "M" | "MB" => 2,
        "G" | "GB" => 3,
        "T" | "TB" => 4,
        _ => return Err(bad()),
    };
    Ok((number * 1024f64.powi(power)) as u64)
}

/// `1,75-78`.
pub fn parse_exit_codes(text: &str) -> Result<Vec<ExitRange>, ValueError> {
    let code = |text: &str| text.trim().parse::<i32>().ok().filter(|code| (0..=255).contains(code));
    let range = |item: &str| {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let (from, to) = (code(from)?, code(to)?);
        (from <= to).then_some(ExitRange { from, to })
    };
    parse_list(text)?
        .iter()
        .map(|item| {
            let message = || say!("must list exit codes 0 to 255 and ranges such as 75-78, not \"{}\"", item);
            range(item).ok_or_else(|| ValueError::Other(message()))
        })
        .collect()
}

/// A pattern of the linear-time engine, kept as text.
pub fn parse_regex(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    match regex::RegexBuilder::new(text).size_limit(1 << 20).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(regex::Error::CompiledTooBig(_)) => Err(ValueError::Other(say!("is too large a pattern"))),
        Err(fault) => {
            let reason = fault.to_string();
            let last = reason.lines().last().unwrap_or("malformed").trim_start_matches("error: ");
            Err(ValueError::Other(say!("is not a regular expression: {}", last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_attribute_is_read_and_no_other() {
        let mut policy = ActionPolicy::default();
        for attribute in ActionPolicy::ATTRIBUTES {
            assert!(policy.set(attribute, "").is_some(), "{attribute}");
        }
        for attribute in Retry::ATTRIBUTES {
            assert!(policy.set(&format!("retry.{attribute}"), "").is_some(), "{attribute}");
        }
        assert!(policy.set("colour", "red").is_none() && policy.set("retry.colour", "red").is_none());
        assert_eq!(policy.set("timeout", "-1"), Some(Ok(())));
        assert_eq!(policy.timeout, None);
        assert!(policy.set("lease", "5s").unwrap().is_err());
    }

    #[test]
    fn retry_values_are_read_and_bad_ones_refused() {
        let mut retry = Retry::default();
        for (attribute, good, bad) in [
            ("factor", "1.5", "1.55"),
            ("factor", "10", "10.1"),
            ("jitter", "20%", "20"),
            ("jitter", "100%", "101%"),
            ("on-exit", "1, 75-78", "78-75"),
            ("not-on-exit", "0-255", "256"),
            ("on-match", "time ?out", "("),
            ("backoff", "exponential", "linear"),
        ] {
            assert_eq!(retry.set(attribute, good), Some(Ok(())), "{attribute}={good}");
            assert!(retry.set(attribute, bad).unwrap().is_err(), "{attribute}={bad}");
        }
        assert_eq!(retry.factor_tenths, 100);
        assert_eq!(retry.on_exit[1], ExitRange { from: 75, to: 78 });
    }
}

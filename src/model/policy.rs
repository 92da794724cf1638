//! How an action is placed, retried, timed out and treated when its worker is lost.
//!
//! `ActionPolicy::set` is the one place that reads these attributes: the XML reader calls it for constants,
//! the engine calls it again at creation for attributes that hold `${…}`.

use serde::{Deserialize, Serialize};

use super::duration::{DurationError, Millis};

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
pub enum ValueError {
    #[error("must be a whole number of at least {min}, not \"{text}\"")]
    Integer { text: String, min: i64 },
    #[error("must be true or false, not \"{0}\"")]
    Bool(String),
    #[error("{0}")]
    Duration(#[from] DurationError),
    #[error("must be one of {}, not \"{text}\"", words.join(", "))]
    Choice { text: String, words: &'static [&'static str] },
    #[error("must be at least {min}, not \"{text}\"")]
    TooShort { text: String, min: Millis },
    #[error("has an empty item")]
    EmptyItem,
    #[error("must not be empty")]
    Empty,
    #[error("{0}")]
    Other(String),
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
                let min = Millis::seconds(10);
                if v < min {
                    Err(ValueError::TooShort { text: text.trim().to_owned(), min })
                } else {
                    self.lease = Some(v);
                    Ok(())
                }
            }),
            "slots" => parse_count(text, 1).map(|v| self.slots = v),
            _ => return None,
        })
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
        assert!(policy.set("colour", "red").is_none());
        assert_eq!(policy.set("timeout", "-1"), Some(Ok(())));
        assert_eq!(policy.timeout, None);
        assert!(policy.set("lease", "5s").unwrap().is_err());
    }
}

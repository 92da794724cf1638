//! What the retry rules of an action say about a failure. Judged here, so that output never enters the log.

use regex::RegexBuilder;

use crate::model::assignment::{RetryRules, RetryVerdict};

/// Compiled size of a pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// `None` when there are no rules. `not-*` beats `on-*`; with any `on-*` only what matches is tried again.
pub fn judge(rules: &RetryRules, exit_code: Option<i32>, message: &str, stderr: &str) -> Option<RetryVerdict> {
    let RetryRules { on_exit, not_on_exit, on_match, not_on_match } = rules;
    if on_exit.is_empty() && not_on_exit.is_empty() && on_match.is_none() && not_on_match.is_none() {
        return None;
    }
    let exits = |ranges: &[crate::model::policy::ExitRange]| {
        exit_code.is_some_and(|code| ranges.iter().any(|range| (range.from..=range.to).contains(&code)))
    };
    let says = |pattern: &Option<String>| {
        pattern.as_ref().is_some_and(|pattern| matches(pattern, message) || matches(pattern, stderr))
    };
    let has_on = !on_exit.is_empty() || on_match.is_some();
    let is_forbidden = exits(not_on_exit) || says(not_on_match);
    let is_allowed = !has_on || exits(on_exit) || says(on_match);
    Some(if is_allowed && !is_forbidden { RetryVerdict::Retry } else { RetryVerdict::NoRetry })
}

/// A pattern that cannot be compiled was refused when the file was read; here it matches nothing.
fn matches(pattern: &str, text: &str) -> bool {
    RegexBuilder::new(pattern)
        .multi_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::ExitRange;

    #[test]
    fn a_forbidding_rule_beats_an_allowing_one() {
        let rules = RetryRules {
            on_exit: vec![ExitRange { from: 75, to: 80 }],
            on_match: Some("timed? ?out".into()),
            not_on_match: Some("(?i)permission denied".into()),
            ..RetryRules::default()
        };
        let judge = |code, stderr| judge(&rules, Some(code), "exit code", stderr);
        assert_eq!(judge(77, ""), Some(RetryVerdict::Retry));
        assert_eq!(judge(1, "connection timed out\n"), Some(RetryVerdict::Retry));
        assert_eq!(judge(1, ""), Some(RetryVerdict::NoRetry));
        assert_eq!(judge(77, "Permission denied"), Some(RetryVerdict::NoRetry));
    }

    #[test]
    fn without_rules_there_is_no_verdict_and_with_only_forbidding_ones_the_rest_is_tried_again() {
        assert_eq!(judge(&RetryRules::default(), Some(1), "", ""), None);
        let rules = RetryRules { not_on_exit: vec![ExitRange { from: 2, to: 2 }], ..RetryRules::default() };
        assert_eq!(judge(&rules, Some(1), "", ""), Some(RetryVerdict::Retry));
        assert_eq!(judge(&rules, Some(2), "", ""), Some(RetryVerdict::NoRetry));
        assert_eq!(judge(&rules, None, "", ""), Some(RetryVerdict::Retry));
    }
}

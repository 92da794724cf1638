//! Exact decimal numbers, to be compared and shown: what databases and parameters hold, without a rounding.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Digits that one may have: those of every double, written out.
const DIGITS_MAX: usize = 400;

/// Sign, digits before and after the point without needless zeros. Equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal {
    is_negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    /// `-12`, `12.50`, `.5`, `1.5e3`; `None`: it is no number, or one of too many digits.
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let n_digits = whole.len() + fraction.len();
        if n_digits == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
        if n_digits + shift > DIGITS_MAX {
            return None;
        }
        let zeros = "0".repeat(shift);
        let (whole, fraction) = if exponent >= 0 {
            let fraction = format!("{fraction}{zeros}");
            let (moved, rest) = fraction.split_at(shift);
            (format!("{whole}{moved}"), rest.to_owned())
        } else {
            let whole = format!("{zeros}{whole}");
            let (rest, moved) = whole.split_at(whole.len() - shift);
            (rest.to_owned(), format!("{moved}{fraction}"))
        };
        let (whole, fraction) = (whole.trim_start_matches('0').to_owned(), fraction.trim_end_matches('0').to_owned());
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: text.starts_with('-') && !is_zero, whole, fraction })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without needless zeros a longer whole part is a larger one, and fractions order as texts.
        let size = |a: &Self, b: &Self| {
            let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(&b.whole));
            whole.then_with(|| a.fraction.cmp(&b.fraction))
        };
        match (self.is_negative, other.is_negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{}", self.fraction)
    }
}

/// The text is no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a number")]
pub struct NotANumber(String);

impl TryFrom<String> for Decimal {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        Self::parse(&text).ok_or(NotANumber(text))
    }
}

impl From<Decimal> for String {
    fn from(number: Decimal) -> Self {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Decimal::parse(text).map(|number| number.to_string())
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("+007", "7"),
            ("12.50", "12.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-1.5e3", "-1500"),
            ("1.25E+1", "12.5"),
            ("12e-3", "0.012"),
            ("1e-1", "0.1"),
            ("123456789012345678901234567890.1", "123456789012345678901234567890.1"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        let long = "9".repeat(DIGITS_MAX + 1);
        for text in
            ["", "-", ".", "x", "1 2", "1,000", "NaN", "inf", "0x10", "1e", "1e1.5", "1e999999999", "--1", &long]
        {
            assert_eq!(shown(text), None, "{text}");
        }
        assert_eq!(shown(&f64::MAX.to_string()).map(|text| text.len()), Some(309));
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let rising = [
            "-100",
            "-2.5",
            "-2.49",
            "0",
            "0.000001",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            "99999999999999998",
            "99999999999999999",
        ];
        let numbers: Vec<Decimal> = rising.iter().map(|text| Decimal::parse(text).unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(Decimal::parse("1e2"), Decimal::parse("100.0"));
    }
}

//! What a monitor measured: a number and the bounds that it was held to.
//!
//! It travels as three outputs of the node; here is which outputs of which action type make one.

use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use super::message::Message;
use super::time::Timestamp;

/// The action type whose outputs are kept as history.
pub const MONITOR: &str = "data-monitor";
/// Its outputs.
pub const VALUE: &str = "value";
pub const MIN: &str = "min";
pub const MAX: &str = "max";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub value: Decimal,
    /// Bounds, inclusive; `None`: there is none.
    pub min: Option<Decimal>,
    pub max: Option<Decimal>,
    /// On the worker's clock.
    pub at: Timestamp,
    /// What the node said of it when it failed.
    pub message: Option<Message>,
}

impl Measured {
    /// `None`: these are not the outputs of a look that came to a number.
    pub fn of_outputs(
        action: &str,
        outputs: &[(String, String)],
        at: Timestamp,
        message: Option<Message>,
    ) -> Option<Self> {
        if action != MONITOR {
            return None;
        }
        let number =
            |wanted: &str| outputs.iter().find(|(name, _)| name == wanted).and_then(|(_, text)| Decimal::parse(text));
        Some(Self { value: number(VALUE)?, min: number(MIN), max: number(MAX), at, message })
    }

    pub fn is_within(&self) -> bool {
        is_within(&self.value, self.min.as_ref(), self.max.as_ref())
    }
}

pub fn is_within(value: &Decimal, min: Option<&Decimal>, max: Option<&Decimal>) -> bool {
    min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_monitors_numbers_are_a_measurement() {
        let outputs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let of = |action: &str, pairs| Measured::of_outputs(action, &outputs(pairs), Timestamp(7), None);
        let measured = of(MONITOR, &[("value", "10"), ("max", "10.0")]).unwrap();
        assert!(measured.is_within() && measured.min.is_none() && measured.at == Timestamp(7));
        assert!(!of(MONITOR, &[("value", "10"), ("min", "10.5")]).unwrap().is_within());
        assert_eq!(of("script", &[("value", "10")]), None);
        assert_eq!(of(MONITOR, &[("min", "1")]), None);
        assert_eq!(of(MONITOR, &[("value", "many")]), None);
    }
}

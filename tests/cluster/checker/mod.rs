//! The invariants, as far as they can be seen from outside: each a pure function of a history.
//!
//! Numbers are those of the design: I1 one live attempt, I2 no phantom attempts, I3 one writer per term, I4 no
//! acknowledged loss, I5 nothing invented, I6 legal transitions once, I7 dependency order, I8 truth of results, I9 policy
//! bounds, I11 limits, I12 finality of kills, I13 adoption, I16 replicas are prefixes, I20 how soon it goes on.
//! `doctored` shows that each of them can fail.

mod attempts;
mod clients;
pub mod doctored;
mod replication;

pub use attempts::lost;

use crate::history::History;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub invariant: &'static str,
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Says each way in which it does not hold.
type Check = fn(&History) -> Vec<String>;

pub const ALL: &[(&str, Check)] = &[
    ("I1 one live attempt", attempts::one_live_attempt),
    ("I2 no phantom attempts", attempts::no_phantoms),
    ("I3 one writer per term", replication::one_writer),
    ("I4 no acknowledged loss", clients::nothing_lost),
    ("I5 nothing invented", clients::nothing_invented),
    ("I6 legal transitions once", attempts::legal_transitions),
    ("I7 dependency order", attempts::dependency_order),
    ("I8 truth of results", attempts::true_results),
    ("I9 policy bounds", attempts::policy_bounds),
    ("I11 limits", attempts::limits),
    ("I12 finality of kills", clients::kills_are_final),
    ("I13 adoption", attempts::adoption),
    ("I16 replicas are prefixes", replication::prefixes),
    ("I20 it goes on in time", replication::goes_on),
];

pub fn check(history: &History) -> Vec<Broken> {
    let of = |(invariant, check): &(&'static str, Check)| {
        let invariant = *invariant;
        check(history).into_iter().map(move |what| Broken { invariant, what }).collect::<Vec<_>>()
    };
    ALL.iter().flat_map(of).collect()
}

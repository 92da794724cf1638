//! `instance logs`: `logs` under its noun.

use crate::cli::console::Verb;
use crate::cli::remote::logs;

pub const EXAMPLES: &[&str] = &["ractorflow instance logs last:orders", "ractorflow instance logs 10342/load -f"];

pub const VERB: Verb = logs::VERB_OF_INSTANCE;

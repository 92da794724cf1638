//! A verb is one file with one `VERB` and one row in the registry.

use clap::{ArgMatches, Command};

use crate::api::ExitCode;

use super::failure::Outcome;
use super::output::Console;

#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// The words typed: `instance kill`.
    pub path: &'static str,
    /// One line, no full stop.
    pub about: &'static str,
    /// Lines shown by `--help`, at least one of them a whole command.
    pub examples: &'static [&'static str],
    /// What it can end with beside 0, 1 and 2.
    pub exits: &'static [ExitCode],
    /// Called by scripts, not by people.
    pub is_hidden: bool,
    pub arguments: fn(Command) -> Command,
    pub run: fn(&ArgMatches, &Console) -> Outcome,
}

/// `arguments` of a verb whose arguments are `A`.
pub fn augment<A: clap::Args>(command: Command) -> Command {
    A::augment_args(command)
}

/// For verbs that take nothing.
#[derive(Debug, clap::Args)]
pub struct NoArgs {}

impl Verb {
    /// The last word, by which clap knows it.
    pub fn word(&self) -> &'static str {
        self.path.rsplit(' ').next().unwrap_or(self.path)
    }

    /// The noun before it, for verbs that have one.
    pub fn noun(&self) -> Option<&'static str> {
        self.path.rsplit_once(' ').map(|(noun, _)| noun)
    }

    pub fn command(&self) -> Command {
        let examples: String = self.examples.iter().map(|line| format!("\n  {line}")).collect();
        let exits: String = self
            .all_exits()
            .iter()
            .map(|exit| {
                let meaning = ExitCode::ALL.iter().find(|(code, _)| code == exit).map_or("", |(_, meaning)| meaning);
                format!("\n  {:<3} {meaning}", exit.code())
            })
            .collect();
        let after = format!("Examples:{examples}\n\nExit codes:{exits}");
        (self.arguments)(Command::new(self.word())).about(self.about).after_long_help(after).hide(self.is_hidden)
    }

    /// Every code it can end with, in order.
    pub fn all_exits(&self) -> Vec<ExitCode> {
        let mut exits = vec![ExitCode::Ok, ExitCode::Other, ExitCode::Usage];
        exits.extend_from_slice(self.exits);
        exits.sort();
        exits.dedup();
        exits
    }
}

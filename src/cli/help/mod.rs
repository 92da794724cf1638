//! Help in Chinese: what the tree of verbs says in English, said in the language of who reads.
//!
//! Owns the Chinese texts of help; the English one, beside its verb or argument, is their key. Headings and what clap
//! says itself are in `usage`. Start at `in_chinese`.

mod chinese;

use std::collections::HashMap;

use clap::builder::StyledStr;
use clap::{Arg, Command};

use self::chinese::CHINESE;

/// Where an exit code's meaning begins in its line.
const MEANING: usize = 6;

/// The tree with its texts in Chinese; one without a row stays as it is.
pub fn in_chinese(command: Command) -> Command {
    translated(command, &CHINESE.iter().copied().collect())
}

/// One text of help in Chinese.
pub fn chinese(english: &str) -> Option<&'static str> {
    CHINESE.iter().find_map(|(text, chinese)| (*text == english).then_some(*chinese))
}

fn translated(mut command: Command, rows: &HashMap<&str, &'static str>) -> Command {
    let row = |text: Option<&StyledStr>| rows.get(text?.to_string().as_str()).copied();
    if let Some(about) = row(command.get_about()) {
        command = command.about(about);
    }
    if let Some(after) = command.get_after_long_help().map(StyledStr::to_string) {
        let lines = after.lines().map(|line| match line.split_at_checked(MEANING) {
            Some((code, meaning)) => format!("{code}{}", rows.get(meaning).copied().unwrap_or(meaning)),
            None => line.to_owned(),
        });
        command = command.after_long_help(lines.collect::<Vec<_>>().join("\n"));
    }
    let argument = |argument: Arg| match row(argument.get_help()) {
        Some(help) => argument.help(help),
        None => argument,
    };
    command.mut_args(argument).mut_subcommands(|command| translated(command, rows))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::ExitCode;
    use crate::cli::registry;

    /// What help shows: the command and all below it that is not hidden.
    fn shown(command: &Command) -> Vec<&Command> {
        let below = command.get_subcommands().filter(|command| !command.is_hide_set());
        std::iter::once(command).chain(below.flat_map(shown)).collect()
    }

    /// Its description and those of its arguments.
    fn texts(command: &Command) -> Vec<String> {
        let of_arguments = command.get_arguments().filter_map(Arg::get_help);
        command.get_about().into_iter().chain(of_arguments).map(StyledStr::to_string).collect()
    }

    fn of_values(command: &Command) -> Vec<String> {
        let values = command.get_arguments().flat_map(Arg::get_possible_values);
        values.filter_map(|value| value.get_help().map(StyledStr::to_string)).collect()
    }

    #[test]
    fn every_text_of_help_has_a_chinese_one_and_no_row_is_idle() {
        let root = registry::command();
        let said: BTreeSet<String> = shown(&root)
            .into_iter()
            .flat_map(|command| [texts(command), of_values(command)].concat())
            .chain(ExitCode::ALL.iter().map(|(_, meaning)| (*meaning).to_owned()))
            .collect();
        let rows: BTreeSet<String> = CHINESE.iter().map(|(english, _)| (*english).to_owned()).collect();
        assert_eq!(said.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "without Chinese");
        assert_eq!(rows.difference(&said).collect::<Vec<_>>(), Vec::<&String>::new(), "said by nobody");
        assert_eq!(rows.len(), CHINESE.len(), "a row twice");
    }

    #[test]
    fn nothing_of_help_stays_english() {
        let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
        let english: Vec<_> = CHINESE.iter().filter(|(_, chinese)| !is_chinese(chinese)).collect();
        assert_eq!(english, Vec::<&(&str, &str)>::new());
        let root = in_chinese(registry::command());
        let after = |command: &Command| command.get_after_long_help().map(StyledStr::to_string);
        let found: Vec<String> =
            shown(&root).into_iter().flat_map(|command| texts(command).into_iter().chain(after(command))).collect();
        let left: Vec<_> = found.iter().filter(|text| !is_chinese(text)).collect();
        assert_eq!(left, Vec::<&String>::new());
    }
}

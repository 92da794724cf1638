//! Verbs that do one thing to each of the named instances or workflows and take nothing else.

use clap::{Args, Command};
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb};
use crate::model::message::Message;

use super::Remote;
use super::act::ChangeOptions;

/// Of what the targets are.
pub enum Noun {
    Instance,
    Workflow,
}

/// What makes one such verb differ from another.
pub trait Each {
    const NOUN: Noun;
    /// What the API calls it.
    const WORD: &str;
    /// What is said of a target afterwards, in both languages.
    const DONE: (&str, &str);

    /// What is asked before it is done to several.
    fn asked() -> Message;
}

/// All of a verb but its path, its line of help and its examples.
pub const fn verb<E: Each>() -> Verb {
    Verb {
        path: "",
        about: "",
        examples: &[],
        exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict, ExitCode::Partial],
        is_hidden: false,
        arguments: arguments::<E>,
        run: |matches, console| super::run(matches, console, run::<E>),
    }
}

#[derive(Debug, Args)]
struct Arguments {
    #[arg(required = true)]
    targets: Vec<String>,
    /// Do not ask when there are several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

fn arguments<E: Each>(command: Command) -> Command {
    Arguments::augment_args(command).mut_arg("targets", |argument| match E::NOUN {
        Noun::Instance => argument.value_name("INSTANCE").help("10342, #10342, last, last:WORKFLOW, @failed"),
        Noun::Workflow => argument.value_name("WORKFLOW"),
    })
}

async fn run<E: Each>(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let (noun, targets) = match E::NOUN {
        Noun::Instance => {
            let numbers = remote.numbers(&arguments.targets).await?;
            ("instances", numbers.iter().map(u64::to_string).collect())
        }
        Noun::Workflow => ("workflows", arguments.targets),
    };
    remote.confirm(&E::asked(), &targets, arguments.yes)?;
    remote.change_each(noun, &targets, E::WORD, E::DONE, &json!({}), &arguments.change).await
}

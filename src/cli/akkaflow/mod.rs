//! `akka`: command lines of akkaflow, for people and scripts that have them. Each is translated into verbs of ours,
//! which are then run: there is one implementation of everything.
//!
//! Owns the spelling alone. Start at `translate`; `usage` lists every line that is understood.

mod translate;
mod usage;

use chrono::Local;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::api::ExitCode;
use crate::api::akkaflow::AkkaflowReply;
use crate::cli::console::{Console, Failure, Format, Outcome, Verb};
use crate::cli::registry;
use crate::model::message::Message;
use crate::say;

use translate::{Line, Prints, Translated};

pub const VERB: Verb = Verb {
    path: "akka",
    about: "Take a command line of akkaflow: front, instance, workflow, util",
    examples: &[
        "ractorflow akka front",
        "ractorflow akka workflow -run --param 'day=2026-11-19&full=1' orders",
        "ractorflow akka instance -search --status 失败",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::DefinitionInvalid,
    ],
    is_hidden: false,
    arguments,
    run,
};

fn arguments(command: Command) -> Command {
    let words = Arg::new("words")
        .value_name("WORD")
        .help("As akkaflow takes them; without any: what it understands")
        .action(ArgAction::Append)
        .trailing_var_arg(true)
        .allow_hyphen_values(true);
    command.arg(words)
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let words: Vec<String> = matches.get_many::<String>("words").into_iter().flatten().cloned().collect();
    let now = Local::now();
    match translate::translate(&words, now.date_naive(), &now.timezone()) {
        Ok(Translated::Lines(lines)) => {
            let mut exit = ExitCode::Ok;
            for line in &lines {
                let ended = one(line, console)?;
                exit = if exit == ExitCode::Ok { ended } else { exit };
            }
            Ok(exit)
        }
        Ok(Translated::Nothing(why)) => {
            console.data(&console.say(&why))?;
            Ok(ExitCode::Ok)
        }
        Ok(Translated::Usage { noun, was_asked }) => {
            console.data(usage::text(noun, console).trim_end())?;
            Ok(if was_asked { ExitCode::Ok } else { ExitCode::Other })
        }
        Err(misuse) => {
            let usage = usage::text(misuse.noun, console);
            Err(Failure::usage(Message::lines([misuse.said, Message::verbatim(usage)])))
        }
    }
}

/// Runs one line, having said what it is here.
fn one(line: &Line, console: &Console) -> Outcome {
    let wide = if line.prints == Prints::Wide { " -o wide" } else { "" };
    console.talk(&say!("here: ractorflow {}", line.text() + wide));
    let matches = registry::command().try_get_matches_from(std::iter::once("ractorflow").chain(line.words()))?;
    let Some((verb, matches)) = registry::chosen(&matches) else {
        return Err(Failure::usage(say!("there is no such command: {}", line.text())));
    };
    match line.prints {
        Prints::Text => (verb.run)(matches, console),
        Prints::Wide => {
            let format = if console.format == Format::Table { Format::Wide } else { console.format };
            (verb.run)(matches, &console.clone().printing(format))
        }
        Prints::Reply { has_data } => {
            let (quiet, kept) = console.clone().keeping();
            let ended = (verb.run)(matches, &quiet);
            let shown = kept.take();
            let exit = ended.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
            let text = ended.err().map_or(shown.text, |failure| failure.text(console.language));
            let data = shown.name.lines().next().filter(|_| has_data && exit == ExitCode::Ok).map(str::to_owned);
            let reply = AkkaflowReply::new(exit == ExitCode::Ok, text, data.map(Into::into));
            console.data(&reply.text())?;
            Ok(exit)
        }
    }
}

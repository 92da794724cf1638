//! The command line: verbs that talk HTTP, verbs on files, and the server roles.
//!
//! Owns the tree of verbs and its documentation. Must not decide anything that the cluster decides. Start reading at
//! `registry`; what every verb shares is in `console`.

pub mod akkaflow;
pub mod console;
mod help;
pub mod offline;
pub mod registry;
pub mod remote;
pub mod server;
mod usage;

use clap::FromArgMatches;

use crate::api::ExitCode;
use console::{Console, Failure, Format, Global, Language};

/// Runs what was typed. The exit code says what came of it.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let typed = registry::command_for(&arguments).try_get_matches_from(&arguments);
    let matches = match typed.or_else(|_| registry::command().try_get_matches_from(&arguments)) {
        Ok(matches) => matches,
        Err(error) => {
            // Asked again in Chinese only when clap has something to say: a verb that runs need not wait for that.
            let error = match usage::language(&arguments) {
                Language::En => error,
                Language::Zh => {
                    help::in_chinese(registry::command()).try_get_matches_from(&arguments).err().unwrap_or(error)
                }
            };
            // Help and version go to stdout and are no error; clap knows which is which.
            let exit = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok };
            usage::print(error, &arguments);
            return exit;
        }
    };
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => {
            usage::print(error, &arguments);
            return ExitCode::Usage;
        }
    };
    let console = Console::new(global);
    let Some((verb, verb_matches)) = registry::chosen(&matches) else {
        unreachable!("clap lets no command through that is not in the registry");
    };
    match (verb.run)(verb_matches, &console) {
        Ok(exit) => exit,
        Err(failure) => {
            report(&failure, &console);
            failure.exit
        }
    }
}

/// A failure is said even with `-q`; with JSON it is on stdout too, so that a reader finds an object there.
fn report(failure: &Failure, console: &Console) {
    if matches!(console.format, Format::Json | Format::Jsonl) {
        // stdout may be gone; the exit code still tells.
        let _ = console.data(&failure.json().to_string());
    }
    eprintln!("{}", failure.text(console.language));
}

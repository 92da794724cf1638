//! `task`: runs one action that is code of ours. A worker starts it under a shim, in the work directory of the attempt.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::actor::mail_server::mail_server;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::config::TaskSettings;
use crate::model::assignment::OutcomeClass;
use crate::model::message::Message;
use crate::node::task::{
    self, ASSIGNMENT_FILE, EXIT_FAILED, EXIT_STOPPED, SETTINGS_FILE, Services, Task, VERDICT_FILE, Verdict,
};
use crate::say;

pub const VERB: Verb = Verb {
    path: "task",
    about: "Runs one action of a workflow; started by a worker",
    examples: &["ractorflow task --conf conf"],
    exits: &[],
    is_hidden: true,
    arguments: augment::<Arguments>,
    run,
};

#[derive(clap::Args)]
struct Arguments {
    /// Directory of the links
    #[arg(long, value_name = "DIR")]
    conf: PathBuf,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = <Arguments as clap::FromArgMatches>::from_arg_matches(matches)
        .map_err(|error| Failure::usage(Message::verbatim(error.to_string())))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(attempt(&arguments, console));
            // A driver's thread may hang for good; the process does not wait for it.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("{error}");
            EXIT_FAILED
        }
    };
    std::process::exit(code.into())
}

async fn attempt(arguments: &Arguments, console: &Console) -> u8 {
    // From the first moment on: what comes earlier would end the process without its saying so.
    let (stop, stopped) = watch::channel(false);
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::spawn(async move {
                while terminate.recv().await.is_some() {
                    stop.send_replace(true);
                }
            });
        }
        Err(error) => eprintln!("{error}"),
    }
    let assignment = std::fs::read(ASSIGNMENT_FILE).map_err(|error| error.to_string());
    let assignment = assignment.and_then(|bytes| task::read_assignment(&bytes).map_err(|error| error.to_string()));
    // It may hold what others should not see, and nobody needs it any more.
    let _ = std::fs::remove_file(ASSIGNMENT_FILE);
    let verdict = match assignment {
        Ok(assignment) => {
            let voice = console.language.voice();
            match services(&arguments.conf) {
                Ok(services) => {
                    let task = Task::new(assignment, &arguments.conf, services, voice, stopped.clone());
                    match task::run(&task).await {
                        Ok(()) => return finish(&task),
                        Err(failure) => {
                            task.warn(&failure.message);
                            task.verdict(failure)
                        }
                    }
                }
                Err(message) => failed(message),
            }
        }
        Err(error) => failed(say!("the assignment cannot be read: {}", error)),
    };
    if *stopped.borrow() {
        return EXIT_STOPPED;
    }
    write_verdict(&verdict);
    EXIT_FAILED
}

/// Before anything was begun.
fn failed(message: Message) -> Verdict {
    Verdict { class: OutcomeClass::Failed, message, exit_code: None, outputs: Vec::new() }
}

/// As the worker's settings are; the password is read for each task anew.
fn services(conf: &Path) -> Result<Services, Message> {
    let bytes = std::fs::read(SETTINGS_FILE).unwrap_or_default();
    let settings: TaskSettings = rmp_serde::from_slice(&bytes).unwrap_or_default();
    Ok(Services { mail: mail_server(&settings.mail, conf)?, monitor_entries_max: settings.monitor_entries_max })
}

fn finish(task: &Task<'_>) -> u8 {
    let lines = task.output_lines();
    let Some(path) = std::env::var_os("RF_OUTPUT").filter(|_| !lines.is_empty()) else { return 0 };
    match std::fs::write(path, lines) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("$RF_OUTPUT: {error}");
            EXIT_FAILED
        }
    }
}

/// Without it the last line of the log is the message.
fn write_verdict(verdict: &Verdict) {
    if let Ok(bytes) = rmp_serde::to_vec_named(verdict)
        && let Err(error) = std::fs::write(VERDICT_FILE, bytes)
    {
        eprintln!("{VERDICT_FILE}: {error}");
    }
}

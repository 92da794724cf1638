//! `logs`: what tasks wrote.

use clap::Args;

use crate::api::ExitCode;
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::say;

use super::follow::{self, LogOf, Part, Printer};
use super::select::with_node;
use super::{Remote, instance};

pub const VERB: Verb = Verb {
    path: "logs",
    about: "What the tasks of an instance wrote",
    examples: &[
        "ractorflow logs last:orders",
        "ractorflow logs 10342/load -n 200 --grep ERROR",
        "ractorflow logs -f 10342",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Detached,
        ExitCode::InstanceFailed,
        ExitCode::InstanceKilled,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| super::run(matches, console, run),
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// 10342, 10342/load, last, last:WORKFLOW/load
    #[arg(value_name = "INSTANCE[/NODE]")]
    of: String,
    /// Go on as lines come, until the instance has ended
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u32>,
    /// Only lines that contain this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Which attempt [default: the newest; without a node: all]
    #[arg(long, value_name = "N", requires = "of")]
    attempt: Option<u32>,
}

pub async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let (reference, node) = with_node(&arguments.of)?;
    let view = match node {
        // One node alone: an instance can have very many.
        Some(node) => remote.instance_with(&reference, "node_name", node).await?,
        None => follow::begun(&remote.client, &reference.to_string(), None).await?.0,
    };
    if arguments.follow && node.is_none() && arguments.tail.is_none() && arguments.grep.is_none() {
        return follow::detachable(view.number, remote.console, async {
            let view = follow::instance(&remote, view.number, None, None).await?;
            Ok(ExitCode::of_instance(view.state).unwrap_or(ExitCode::Other))
        })
        .await;
    }
    let mut logs = follow::logs(&view);
    if let Some(node) = node {
        if !view.nodes.iter().any(|known| known.name == node) {
            let said = say!("instance #{} has no node \"{}\"", view.number, node);
            return Err(Failure::new(ExitCode::NotFound, said));
        }
        logs.retain(|log| log.node == node);
        if arguments.attempt.is_none() {
            logs = logs.split_off(logs.len().saturating_sub(1));
        }
    }
    if let Some(attempt) = arguments.attempt {
        logs.retain(|log| log.attempt == attempt);
    }
    if logs.is_empty() {
        // Of what has ended nothing comes any more.
        let said = match (view.state.is_terminal(), arguments.attempt) {
            (false, _) => say!("there is no such log of instance #{} yet", view.number),
            (true, Some(attempt)) => say!("instance #{} ended without an attempt {} there", view.number, attempt),
            (true, None) => match node {
                Some(node) => say!("instance #{} ended without output of node \"{}\"", view.number, node),
                None => say!("instance #{} ended without output", view.number),
            },
        };
        return Err(Failure::new(ExitCode::NotFound, said).hint(say!("`ractorflow why {}`", arguments.of)));
    }
    let prefix = if node.is_some() { None } else { follow::prefix(&view) };
    let printer = Printer { console: remote.console, prefix };
    let part = Part { tail: arguments.tail, grep: arguments.grep };
    let number = view.number;
    follow::detachable(number, remote.console, print_all(&remote, logs, part, arguments.follow, &printer)).await
}

async fn print_all(
    remote: &Remote<'_>,
    logs: Vec<LogOf>,
    part: Part,
    is_followed: bool,
    printer: &Printer<'_>,
) -> Outcome {
    let several = logs.len() > 1;
    for log in logs {
        let printed = if is_followed {
            follow::attempt(&remote.client, log, part.clone(), printer).await
        } else {
            follow::print(&remote.client, &log, &part, printer).await
        };
        match printed {
            // An attempt without a log is no fault when there are others to show.
            Err(failure) if several && failure.exit == ExitCode::NotFound => {}
            other => other?,
        }
    }
    Ok(ExitCode::Ok)
}

/// `instance logs` is the same verb under its noun.
pub const VERB_OF_INSTANCE: Verb = Verb { path: "instance logs", examples: instance::logs::EXAMPLES, ..VERB };

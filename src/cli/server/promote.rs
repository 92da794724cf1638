//! `cluster promote --force`: the last resort when most masters are lost for good. Works on the files of a master
//! that is stopped.

use std::path::Path;

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cluster::raft::promote;
use crate::config::{Config, Home};
use crate::model::message::Value;
use crate::say;

use super::process::{Lock, Process};

pub const VERB: Verb = Verb {
    path: "cluster promote",
    about: "Let a stopped master lead alone, when the other voters are lost for good",
    examples: &["ractorflow cluster promote m1 --force"],
    exits: &[ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The master of this home that goes on: of several, the one whose log is longest
    node: String,
    /// Yes: the other voters will never come back with what they have, and what they alone had is lost
    #[arg(long)]
    force: bool,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let node = arguments.node;
    let config = Config::load(&home)?;
    let listed = config.cluster.masters.iter().find(|master| master.name() == node);
    let listed = listed
        .ok_or_else(|| Failure::new(ExitCode::NotFound, say!("cluster.masters of this home names no {}", node)))?;
    let directory = home.node_dir(&node);
    if !arguments.force {
        let log = promote::look(&directory).map_err(|error| Failure::theirs(&error))?;
        return Err(Failure::new(
            ExitCode::Conflict,
            say!(
                "{} knows {} log entries and the voters {}. Entries that only other masters have will be lost, and if one of those masters still runs there will be two clusters",
                node,
                log.last_index.map_or(0, |index| index + 1),
                Value::list(log.voters.iter().map(|voter| format!("m{voter}")))
            ),
        )
        .hint(say!("if the others are gone for good: ractorflow cluster promote {} --force", node)));
    }
    if Process::from_file(&home.pid_file(&node)).is_some() {
        return Err(Failure::new(
            ExitCode::Conflict,
            say!("{} runs; stop it first: sbin/stop-cluster --only {}", node, node),
        ));
    }
    let Some(_lock) = Lock::take(Path::new(&home.run_dir().join(format!("{node}.lock"))))? else {
        return Err(Failure::new(ExitCode::Conflict, say!("{} runs; stop it first", node)));
    };
    promote::alone(&directory, listed.id.0, &listed.address()).map_err(|error| Failure::theirs(&error))?;
    console.data(&console.say(&say!(
        "{} leads alone from its next start. Start it, then add other masters: ractorflow cluster member add",
        node
    )))?;
    Ok(ExitCode::Ok)
}

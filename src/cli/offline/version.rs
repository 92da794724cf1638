//! `version`.

use clap::ArgMatches;
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Console, NoArgs, Outcome, Verb, augment};

pub const VERB: Verb = Verb {
    path: "version",
    about: "Version of this program",
    examples: &["ractorflow version", "ractorflow version -o json"],
    exits: &[],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run,
};

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

fn run(_: &ArgMatches, console: &Console) -> Outcome {
    let version = Version { version: env!("CARGO_PKG_VERSION") };
    console.show(&version, version.version, || format!("Ractorflow {}", version.version))?;
    Ok(ExitCode::Ok)
}

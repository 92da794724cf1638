//! `config check`: is the file right?

use clap::ArgMatches;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Console, NoArgs, Outcome, Verb, augment};
use crate::config::{Config, Home};

pub const VERB: Verb = Verb {
    path: "config check",
    about: "Check conf/ractorflow.toml and the environment over it",
    examples: &["ractorflow config check"],
    exits: &[],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run,
};

fn run(_: &ArgMatches, console: &Console) -> Outcome {
    let home = Home::find(console.global.home.as_deref())?;
    Config::load(&home)?;
    let file = home.config_file().display().to_string();
    console.show(&json!({"file": file, "is_valid": true}), &file, || {
        format!("{file}: {}", console.word("no faults", "无错误"))
    })?;
    Ok(ExitCode::Ok)
}

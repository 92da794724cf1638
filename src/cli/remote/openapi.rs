//! `schema openapi`: the document of the API that answers.

use serde_json::Value;

use crate::api::ExitCode;
use crate::cli::console::{NoArgs, Outcome, Verb, augment};

use super::Remote;
use super::client::Ask;

pub const VERB: Verb = Verb {
    path: "schema openapi",
    about: "The OpenAPI document of the REST API",
    examples: &["ractorflow schema openapi > openapi.json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: |matches, console| super::run(matches, console, run),
};

async fn run(_: NoArgs, remote: Remote<'_>) -> Outcome {
    let document: Value = remote.client.get(&Ask::new(["openapi.json"])).await?;
    let text = serde_json::to_string_pretty(&document).map_err(|error| crate::cli::console::Failure::theirs(&error))?;
    remote.console.data(&text)?;
    Ok(ExitCode::Ok)
}

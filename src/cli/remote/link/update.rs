//! `link update`.

use clap::Args;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};

use super::KindOption;
use super::fields::Fields;

pub const VERB: Verb = Verb {
    path: "link update",
    about: "Change a link that the cluster keeps; what is not said stays as it is",
    examples: &[
        "ractorflow link update dwh --ask-password",
        "ractorflow link update dwh --url jdbc:mysql://db2:3306/dwh",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(value_name = "LINK")]
    name: String,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    kind: KindOption,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let request = arguments.fields.request(remote.console, false)?;
    let answer = remote.change_link(&arguments.name, "update", &arguments.kind, &request, &arguments.change).await?;
    remote.tell(&arguments.name, ("changed", "已修改"), &answer)?;
    Ok(ExitCode::Ok)
}

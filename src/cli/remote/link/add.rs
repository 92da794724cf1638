//! `link add`.

use clap::Args;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};

use super::KindOption;
use super::fields::Fields;

pub const VERB: Verb = Verb {
    path: "link add",
    about: "Have the cluster keep a link, for every worker that has none of that name in its own file",
    examples: &[
        "ractorflow link add dwh --type POSTGRESQL --url jdbc:postgresql://10.1.2.3:5432/dwh --user etl",
        "ractorflow link add landing --type SFTP --host 10.1.2.5 --user etl --password-file /root/landing.password",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::Conflict],
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
    let request = arguments.fields.request(remote.console, true)?;
    let answer = remote.change_link(&arguments.name, "add", &arguments.kind, &request, &arguments.change).await?;
    remote.tell(&arguments.name, ("added", "已添加"), &answer)?;
    Ok(ExitCode::Ok)
}

//! `link add`.

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::{self, Remote};

use super::Written;

pub const VERB: Verb = Verb {
    path: "link add",
    about: "Have the cluster keep a link, for every worker that has none of that name in its own file",
    examples: &[
        "ractorflow link add dwh --type POSTGRESQL --url jdbc:postgresql://10.1.2.3:5432/dwh --user etl",
        "ractorflow link add landing --type SFTP --host 10.1.2.5 --user etl --password-file landing.password",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Written>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(written: Written, remote: Remote<'_>) -> Outcome {
    written.send(remote, "add", true, ("added", "已添加")).await
}

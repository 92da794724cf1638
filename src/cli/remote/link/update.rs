//! `link update`.

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::{self, Remote};

use super::Written;

pub const VERB: Verb = Verb {
    path: "link update",
    about: "Change a link that the cluster keeps; what is not said stays as it is",
    examples: &[
        "ractorflow link update dwh --ask-password",
        "ractorflow link update dwh --url jdbc:mysql://db2:3306/dwh",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Written>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(written: Written, remote: Remote<'_>) -> Outcome {
    written.send(remote, "update", false, ("changed", "已修改")).await
}

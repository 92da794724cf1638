//! `instance wait`: ends when the instance has, and as it has.

use std::time::{Duration, Instant};

use clap::Args;

use crate::api::{ExitCode, InstanceView};
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::cli::remote::select::reference;
use crate::cli::remote::{self, Remote, follow, show};
use crate::model::duration::Millis;
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance wait",
    about: "Wait until an instance has ended; the exit code says how",
    examples: &["ractorflow instance wait 10342 --timeout 30m", "ractorflow instance wait last:orders && ./report.sh"],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::TimedOutWaiting,
        ExitCode::Detached,
        ExitCode::InstanceFailed,
        ExitCode::InstanceKilled,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW
    instance: String,
    /// Longest wait, such as 30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let until = deadline(arguments.timeout.as_deref())?;
    let number = remote.number(&reference(&arguments.instance)?).await?;
    follow::detachable(number, remote.console, async {
        let view = remote.client.wait(number, None, until).await?;
        ended(view, &remote).await
    })
    .await
}

/// What `--timeout` means from now on.
pub fn deadline(timeout: Option<&str>) -> Result<Option<Instant>, Failure> {
    let Some(timeout) = timeout else { return Ok(None) };
    let parsed = Millis::parse(timeout).map_err(|error| Failure::usage(say!("--timeout: {}", error.to_string())))?;
    Ok(Some(Instant::now() + Duration::from_millis(parsed.0.unsigned_abs())))
}

/// Shows an instance that has ended, and ends as it did.
pub async fn ended(view: InstanceView, remote: &Remote<'_>) -> Outcome {
    let (view, console) = (remote.for_output(view).await?, remote.console);
    console.show(&view, &view.number.to_string(), || show::instance(&view, console))?;
    Ok(ExitCode::of_instance(view.state).unwrap_or(ExitCode::Other))
}

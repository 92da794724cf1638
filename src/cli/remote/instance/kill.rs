//! `instance kill`.

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::KillRequest;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::instance::wait::deadline;
use crate::cli::remote::stay::Stay;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance kill",
    about: "Kill an instance: TERM, grace, KILL",
    examples: &[
        "ractorflow instance kill 10342",
        "ractorflow instance kill last:orders --grace 30s --reason 'wrong date'",
        "ractorflow instance kill 10342 --wait && ractorflow instance rerun 10342 --all",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::TimedOutWaiting,
        ExitCode::Detached,
        ExitCode::Partial,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW, @failed
    #[arg(required = true, value_name = "INSTANCE")]
    instances: Vec<String>,
    /// KILL at once, also what is being killed with a grace
    #[arg(long)]
    force: bool,
    /// Between TERM and KILL, at most 1h; without it as configured
    #[arg(long, value_name = "TIME", conflicts_with = "force")]
    grace: Option<String>,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
    /// Longest wait, such as 30m
    #[arg(long, value_name = "TIME", requires = "wait")]
    timeout: Option<String>,
    /// Do not ask when there are several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let until = deadline(arguments.timeout.as_deref())?;
    let request = KillRequest { force: arguments.force, grace: arguments.grace.clone() };
    let numbers = remote.numbers(&arguments.instances).await?;
    let targets: Vec<String> = numbers.iter().map(u64::to_string).collect();
    remote.confirm(&say!("kill"), &targets, arguments.yes)?;
    let options = &arguments.change;
    if !arguments.wait {
        return remote.change_each("instances", &targets, "kill", ("killed", "已杀死"), &request, options).await;
    }
    let done = say!("told to end");
    match Stay::until(until).with_each(&remote, &numbers, "kill", &done, &request, options).await? {
        // What was asked for; of several, some may have ended by themselves.
        ExitCode::InstanceKilled | ExitCode::InstanceFailed => Ok(ExitCode::Ok),
        other => Ok(other),
    }
}

//! `run`: start a workflow now, and perhaps stay until it has ended.

use std::collections::BTreeMap;

use clap::Args;

use crate::api::change::RunRequest;
use crate::api::{ChangeAnswer, Changed, ExitCode};
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::say;

use super::act::ChangeOptions;
use super::client::Ask;
use super::instance::wait::{deadline, ended};
use super::{Remote, follow};

pub const VERB: Verb = Verb {
    path: "run",
    about: "Start a workflow now, without effect on those that wait for it",
    examples: &[
        "ractorflow run orders",
        "ractorflow run orders -p day=2026-11-19 --wait --timeout 30m",
        "ractorflow run orders --follow",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::TimedOutWaiting,
        ExitCode::Detached,
        ExitCode::InstanceFailed,
        ExitCode::InstanceKilled,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| super::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    workflow: String,
    /// Parameter
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Leave out the parameters of the definition
    #[arg(long)]
    no_defaults: bool,
    /// Nodes to skip
    #[arg(long, value_name = "NODE")]
    skip: Vec<String>,
    /// The time that the run is for, RFC 3339
    #[arg(long, value_name = "TIME")]
    nominal: Option<String>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    business_date: Option<String>,
    /// Version of the definition [default: the newest]
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Wait until it has ended; the exit code says how
    #[arg(long)]
    wait: bool,
    /// Print what its tasks write, until it has ended
    #[arg(long)]
    follow: bool,
    /// Longest wait, such as 30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let until = deadline(arguments.timeout.as_deref())?;
    let request = RunRequest {
        params: parameters(&arguments.param)?,
        no_defaults: arguments.no_defaults,
        nominal: arguments.nominal,
        business_date: arguments.business_date,
        skip: arguments.skip,
        version: arguments.version,
    };
    let target = format!("{}:run", arguments.workflow);
    let ask = Ask::new(["workflows", &target]).maybe("reason", arguments.change.reason.as_deref());
    let answer = remote.client.change(&ask, &request, arguments.change.key.as_deref()).await?;
    if !arguments.wait && !arguments.follow {
        return remote.tell(&arguments.workflow, ("started as", "已启动"), &answer);
    }
    let number = number(&answer)?;
    remote.console.talk(&say!("#{} {}", number, say!("started")));
    follow::detachable(number, remote.console, async {
        if arguments.follow {
            let view = follow::instance(&remote, number, Some(answer.seq), until).await?;
            remote.console.talk(&say!("#{} {}", number, view.state));
            return Ok(ExitCode::of_instance(view.state).unwrap_or(ExitCode::Other));
        }
        let view = remote.client.wait(number, Some(answer.seq), until).await?;
        ended(view, &remote).await
    })
    .await
}

fn number(answer: &ChangeAnswer) -> Result<u64, Failure> {
    match &answer.changed {
        Changed::Instances(instances) => instances.last().map(|made| made.number),
        Changed::Done | Changed::Applied(_) => None,
    }
    .ok_or_else(|| Failure::other(say!("the cluster did not say which instance it made")))
}

/// `NAME=VALUE` of each `-p`.
pub fn parameters(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut parameters = BTreeMap::new();
    for word in words {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Failure::usage(say!("\"{}\" is not NAME=VALUE", word)));
        };
        if parameters.insert(name.trim().to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(say!("parameter \"{}\" is given twice", name.trim())));
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_cut_at_its_first_equals_sign() {
        let words = ["a=1".to_owned(), "sql=x = 'y=z'".to_owned(), "empty=".to_owned()];
        let parameters = parameters(&words).unwrap();
        assert_eq!(parameters["sql"], "x = 'y=z'");
        assert_eq!(parameters["empty"], "");
        for bad in [&["=1"][..], &["a"], &["a=1", "a=2"]] {
            assert!(super::parameters(&bad.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).is_err());
        }
    }
}

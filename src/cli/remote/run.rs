//! `run`: start a workflow now, and perhaps stay until it has ended.

use std::collections::BTreeMap;

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::RunRequest;
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::say;

use super::Remote;
use super::act::ChangeOptions;
use super::client::Ask;
use super::stay::StayOptions;

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
    #[command(flatten)]
    stay: StayOptions,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let stay = arguments.stay.read()?;
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
    match stay {
        None => remote.tell(&arguments.workflow, ("started as", "已启动"), &answer),
        Some(stay) => stay.with_started(&remote, &answer).await,
    }
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

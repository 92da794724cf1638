//! `--wait`, `--follow`, `--timeout`: a verb that has started something stays until that has ended, and ends as it did.

use std::time::Instant;

use serde::Serialize;

use crate::api::{ChangeAnswer, Changed, ExitCode, InstanceView};
use crate::cli::console::{Cell, Failure, Outcome, Table, span};
use crate::model::message::Message;
use crate::say;

use super::act::ChangeOptions;
use super::instance::wait::{deadline, ended};
use super::{Remote, follow};

#[derive(Debug, Clone, clap::Args)]
pub struct StayOptions {
    /// Wait until it has ended; the exit code says how
    #[arg(long)]
    wait: bool,
    /// Print what its tasks write, until it has ended
    #[arg(long)]
    follow: bool,
    /// Longest wait, such as 30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

/// How to stay, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Stay {
    is_followed: bool,
    until: Option<Instant>,
}

impl StayOptions {
    /// `None`: the verb ends at once.
    pub fn read(&self) -> Result<Option<Stay>, Failure> {
        let until = deadline(self.timeout.as_deref())?;
        match (self.wait || self.follow, until) {
            (true, until) => Ok(Some(Stay { is_followed: self.follow, until })),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(Failure::usage(say!("--timeout is the longest wait: it needs --wait or --follow"))),
        }
    }
}

impl Stay {
    pub fn until(until: Option<Instant>) -> Self {
        Self { is_followed: false, until }
    }

    /// With the instance that a change has started.
    pub async fn with_started(&self, remote: &Remote<'_>, answer: &ChangeAnswer) -> Outcome {
        let started = match &answer.changed {
            Changed::Instances(instances) => instances.last(),
            Changed::Done | Changed::Applied(_) => None,
        };
        let Some(started) = started else {
            return Err(Failure::other(say!("the cluster did not say which instance it made")));
        };
        self.with(remote, started.number, answer.seq, &say!("started")).await
    }

    async fn with(&self, remote: &Remote<'_>, number: u64, seq: u64, done: &Message) -> Outcome {
        remote.console.talk(&say!("#{} {}", number, done));
        follow::detachable(number, remote.console, async {
            if self.is_followed {
                let view = follow::instance(remote, number, Some(seq), self.until).await?;
                remote.console.talk(&say!("#{} {}", number, view.state));
                return Ok(ExitCode::of_instance(view.state).unwrap_or(ExitCode::Other));
            }
            let view = remote.client.wait(number, Some(seq), self.until).await?;
            ended(view, remote).await
        })
        .await
    }

    /// The same change for each of the instances, and then with all of them. One behaves as it would alone.
    pub async fn with_each<B: Serialize>(
        &self,
        remote: &Remote<'_>,
        numbers: &[u64],
        verb: &str,
        done: &Message,
        body: &B,
        options: &ChangeOptions,
    ) -> Outcome {
        if let [number] = numbers {
            let answer = remote.change("instances", &number.to_string(), verb, body, options).await?;
            return self.with(remote, *number, answer.seq, done).await;
        }
        if self.is_followed {
            return Err(Failure::usage(say!("--follow is for one instance; --wait is for several too")));
        }
        let tell = |target: &str, _: &ChangeAnswer| {
            remote.console.talk(&say!("#{} {}", target, done));
            Ok(())
        };
        let targets: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let (acted, asked) = remote.change_all("instances", &targets, verb, body, options, tell).await?;
        let pairs = numbers.iter().zip(&acted);
        let changed: Vec<_> = pairs.filter_map(|(n, one)| Some((*n, one.answer.as_ref()?.seq))).collect();
        let Some(&(first, _)) = changed.first() else { return Ok(asked) };
        follow::detachable(first, remote.console, async {
            let mut ended = Vec::new();
            for (number, seq) in changed {
                ended.push(remote.client.wait(number, Some(seq), self.until).await?);
            }
            show(&ended, remote)?;
            Ok(if asked == ExitCode::Ok { worst(&ended) } else { asked })
        })
        .await
    }
}

fn show(views: &[InstanceView], remote: &Remote<'_>) -> Result<(), Failure> {
    let console = remote.console;
    console.list(
        &views,
        views,
        |view| view.number.to_string(),
        |views| {
            let mut table = Table::new()
                .right(console.word("NUMBER", "编号"))
                .column(console.word("WORKFLOW", "工作流"))
                .column(console.word("STATE", "状态"))
                .right(console.word("TOOK", "用时"));
            for view in views {
                table.row([
                    Cell::from(format!("#{}", view.number)),
                    Cell::from(view.workflow.clone()),
                    Cell::instance(view.state, console),
                    Cell::from(span(view.duration_ms)),
                ]);
            }
            table
        },
    )
}

/// One that failed counts more than one that was killed.
fn worst(views: &[InstanceView]) -> ExitCode {
    let ends: Vec<_> = views.iter().map(|view| ExitCode::of_instance(view.state).unwrap_or(ExitCode::Other)).collect();
    [ExitCode::Other, ExitCode::InstanceFailed, ExitCode::InstanceKilled]
        .into_iter()
        .find(|bad| ends.contains(bad))
        .unwrap_or(ExitCode::Ok)
}

//! Changes of one or several targets: one request each, every result told, one exit code.

use serde::Serialize;

use crate::api::{ChangeAnswer, Changed, ExitCode};
use crate::cli::console::{Failure, Format, Outcome};
use crate::say;

use super::Remote;
use super::client::Ask;

/// Options of every change.
#[derive(Debug, Clone, clap::Args)]
pub struct ChangeOptions {
    /// Idempotency key: the same key is one effect, however often it is sent [default: a new one]
    #[arg(long)]
    pub key: Option<String>,
    /// Kept in the history
    #[arg(long)]
    pub reason: Option<String>,
}

/// One target and what came of it.
#[derive(Serialize)]
pub struct Acted {
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ChangeAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
}

impl Remote<'_> {
    /// `POST /<noun>/<target>:<verb>`.
    pub async fn change<B: Serialize>(
        &self,
        noun: &str,
        target: &str,
        verb: &str,
        body: &B,
        options: &ChangeOptions,
    ) -> Result<ChangeAnswer, Failure> {
        let target = format!("{target}:{verb}");
        let ask = Ask::new([noun, target.as_str()]).maybe("reason", options.reason.as_deref());
        self.client.change(&ask, body, options.key.as_deref()).await
    }

    /// The same change for each target. One target behaves as the change itself; of several, some may fail.
    pub async fn change_each<B: Serialize>(
        &self,
        noun: &str,
        targets: &[String],
        verb: &str,
        done: (&str, &str),
        body: &B,
        options: &ChangeOptions,
    ) -> Outcome {
        if let [target] = targets {
            let answer = self.change(noun, target, verb, body, options).await?;
            return self.tell(target, done, &answer);
        }
        let tell = |target: &str, answer: &ChangeAnswer| match self.console.is_json() {
            true => Ok(()),
            false => self.tell(target, done, answer).map(drop),
        };
        let (acted, exit) = self.change_all(noun, targets, verb, body, options, tell).await?;
        if self.console.is_json() {
            self.console.list(&acted, &acted, |one| one.target.clone(), |_| crate::cli::console::Table::new())?;
        }
        Ok(exit)
    }

    /// The same change for each of several targets. What failed is said, what was done is handed to `tell`.
    pub async fn change_all<B: Serialize>(
        &self,
        noun: &str,
        targets: &[String],
        verb: &str,
        body: &B,
        options: &ChangeOptions,
        tell: impl Fn(&str, &ChangeAnswer) -> Result<(), Failure>,
    ) -> Result<(Vec<Acted>, ExitCode), Failure> {
        if options.key.is_some() {
            return Err(Failure::usage(say!("--key is for one target: a key means one effect")));
        }
        let mut acted = Vec::new();
        let mut failed = 0;
        for target in targets {
            match self.change(noun, target, verb, body, options).await {
                Ok(answer) => {
                    tell(target, &answer)?;
                    acted.push(Acted { target: target.clone(), answer: Some(answer), error: None });
                }
                Err(failure) => {
                    failed += 1;
                    eprintln!("{target}: {}", failure.text(self.console.language));
                    acted.push(Acted {
                        target: target.clone(),
                        answer: None,
                        error: Some(failure.json()["error"].take()),
                    });
                }
            }
        }
        let exit = match failed {
            0 => ExitCode::Ok,
            all if all == targets.len() => ExitCode::Other,
            _ => ExitCode::Partial,
        };
        Ok((acted, exit))
    }

    /// What a change came to, the end of most verbs: for scripts the number of what was made, else a sentence.
    pub fn tell(&self, target: &str, done: (&str, &str), answer: &ChangeAnswer) -> Outcome {
        let made: Vec<String> = match &answer.changed {
            Changed::Instances(instances) => instances.iter().map(|made| made.number.to_string()).collect(),
            Changed::Applied(applied) => vec![applied.workflow.name.clone()],
            Changed::Done => Vec::new(),
        };
        let name = if made.is_empty() { target.to_owned() } else { made.join("\n") };
        if self.console.format == Format::Name {
            self.console.data(&name)?;
            return Ok(ExitCode::Ok);
        }
        self.console.show(answer, &name, || {
            let word = self.console.word(done.0, done.1);
            let repeat = if answer.is_repeat {
                self.console.word(" (as before: the key was used)", " (重复请求, 与上次相同)")
            } else {
                ""
            };
            let made = made.iter().map(|number| format!(" #{number}")).collect::<String>();
            let made = if matches!(answer.changed, Changed::Instances(_)) { made } else { String::new() };
            format!("{target}: {word}{made}{repeat}")
        })?;
        Ok(ExitCode::Ok)
    }
}

//! Verbs on links: named databases and file systems of the cluster.

pub mod add;
pub mod fields;
pub mod list;
pub mod remove;
pub mod show;
pub mod test;
pub mod update;

use serde::Serialize;

use crate::api::ChangeAnswer;
use crate::cli::console::Failure;

use super::Remote;
use super::act::ChangeOptions;
use super::client::Ask;

/// Which of two links of the same name.
#[derive(Debug, Clone, clap::Args)]
pub struct KindOption {
    /// Which of two links of this name
    #[arg(long, value_parser = ["database", "file"])]
    kind: Option<String>,
}

impl Remote<'_> {
    async fn change_link<B: Serialize>(
        &self,
        name: &str,
        verb: &str,
        kind: &KindOption,
        body: &B,
        options: &ChangeOptions,
    ) -> Result<ChangeAnswer, Failure> {
        let target = format!("{name}:{verb}");
        let ask = Ask::new(["links", target.as_str()]).maybe("kind", kind.kind.as_deref());
        let ask = ask.maybe("reason", options.reason.as_deref());
        self.client.change(&ask, body, options.key.as_deref()).await
    }
}

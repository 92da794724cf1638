//! Which instances a verb is about: `10342`, `#10342`, `last`, `last:<workflow>`, `@failed`, and lists of these.

use std::io::{IsTerminal, Write};

use crate::api::{InstanceRef, InstanceSummary, InstanceView};
use crate::cli::console::{Failure, Format};
use crate::model::message::Message;
use crate::model::state::NodeWord;
use crate::say;

use super::Remote;
use super::client::Ask;

/// Rows of a table of more nodes than one answer of the API has.
const TABLE_ROWS: u32 = 100;
/// Most instances that one word stands for.
const MANY_MAX: usize = 500;

pub fn reference(text: &str) -> Result<InstanceRef, Failure> {
    text.parse().map_err(|error: crate::api::query::NotAnInstance| Failure::usage(error.said()))
}

/// As `node_state` takes them; `None`: any.
pub fn state_words(states: &[NodeWord]) -> Option<String> {
    let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// `10342/load` is a node of an instance.
pub fn with_node(text: &str) -> Result<(InstanceRef, Option<&str>), Failure> {
    match text.split_once('/') {
        Some((instance, node)) if !node.is_empty() => Ok((reference(instance)?, Some(node))),
        _ => Ok((reference(text.trim_end_matches('/'))?, None)),
    }
}

impl Remote<'_> {
    /// An instance with those of its nodes that a parameter of the API picks.
    pub async fn instance_with(
        &self,
        reference: &InstanceRef,
        parameter: &'static str,
        value: impl ToString,
    ) -> Result<InstanceView, Failure> {
        self.client.get(&Ask::new(["instances", &reference.to_string()]).with(parameter, value)).await
    }

    /// The nodes and edges of an instance that come after those of the view.
    pub async fn add_rest(&self, view: &mut InstanceView, states: &[NodeWord]) -> Result<(), Failure> {
        let number = view.number.to_string();
        while let Some(cursor) = view.nodes_next.take() {
            let ask = Ask::new(["instances", &number]).with("generation", view.generation).with("node_cursor", cursor);
            let page: InstanceView = self.client.get(&ask.maybe("node_state", state_words(states))).await?;
            view.nodes.extend(page.nodes);
            view.edges.extend(page.edges);
            view.nodes_next = page.nodes_next;
        }
        Ok(())
    }

    /// Makes a view ready to be shown: programs get all nodes, people those that need a look first when there are
    /// too many for a table.
    pub async fn for_output(&self, mut view: InstanceView) -> Result<InstanceView, Failure> {
        match self.console.format {
            _ if view.nodes_next.is_none() => {}
            Format::Json | Format::Jsonl => self.add_rest(&mut view, &[]).await?,
            Format::Table | Format::Wide => {
                let number = view.number.to_string();
                let ask = Ask::new(["instances", &number])
                    .with("generation", view.generation)
                    .with("node_order", "urgency")
                    .with("node_limit", TABLE_ROWS);
                view = self.client.get(&ask).await?;
            }
            Format::Name => {}
        }
        Ok(view)
    }

    /// The number that the words mean now: changes name an instance by number.
    pub async fn number(&self, reference: &InstanceRef) -> Result<u64, Failure> {
        match reference {
            InstanceRef::Number(number) => Ok(*number),
            InstanceRef::Last | InstanceRef::LastOf(_) => {
                Ok(self.instance_with(reference, "node_limit", 1).await?.number)
            }
        }
    }

    /// All numbers that the words mean, each once, in the order given.
    pub async fn numbers(&self, words: &[String]) -> Result<Vec<u64>, Failure> {
        let mut numbers = Vec::new();
        for word in words.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()) {
            if word == "@failed" {
                let ask = Ask::new(["instances"]).with("state", "failed");
                let failed: Vec<InstanceSummary> = self.client.all(&ask, MANY_MAX).await?;
                numbers.extend(failed.iter().take(MANY_MAX).map(|instance| instance.number));
            } else {
                numbers.push(self.number(&reference(word)?).await?);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        numbers.retain(|number| seen.insert(*number));
        Ok(numbers)
    }

    /// Before a change of several things: asks at a terminal, and elsewhere wants `--yes`.
    pub fn confirm(&self, what: &Message, targets: &[String], yes: bool) -> Result<(), Failure> {
        if targets.len() <= 1 || yes {
            return Ok(());
        }
        let said = say!("{} {}: {}", what, targets.len(), targets.join(" "));
        if !std::io::stdin().is_terminal() || self.console.format != Format::Table {
            return Err(Failure::usage(said).hint(say!("--yes does it without asking")));
        }
        eprint!("{}\n{} [y/N] ", self.console.say(&said), self.console.word("Go on?", "继续?"));
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes" | "是") {
            Ok(())
        } else {
            Err(Failure::other(say!("nothing was done")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stands_behind_a_slash() {
        assert_eq!(with_node("12/load").unwrap(), (InstanceRef::Number(12), Some("load")));
        assert_eq!(with_node("#12").unwrap(), (InstanceRef::Number(12), None));
        assert_eq!(with_node("last:日报/导入").unwrap(), (InstanceRef::LastOf("日报".to_owned()), Some("导入")));
        assert!(with_node("x/load").is_err());
    }
}

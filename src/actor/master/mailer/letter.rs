//! What a mail says: facts of instances and nodes as readers of the pages see them, with the last lines of logs.

use std::sync::Arc;

use crate::actor::log_store::LogStore;
use crate::actor::master::{logs, query};
use crate::api::{
    ApiError, ErrorCode, InstanceView, LogLine, LogQuery, LogStart, LogStream, NodeOrder, NodePick, NodeView,
    NodeWindow,
};
use crate::engine::state::{InstanceEnd, MailAbout, MailItem, OwedMail};
use crate::model::message::{Message, Value};
use crate::model::state::NodeWord;
use crate::say;

use super::super::shared::Shared;

/// Runs of one mail that are shown with nodes and logs; of the others there is a row.
const DETAILED_MAX: usize = 5;
/// Nodes shown of a run, those that need a look first.
const NODES_MAX: u32 = 60;
/// Failed nodes of a run whose logs are shown.
const LOGS_MAX: usize = 3;
/// Workflows downstream that are named.
const AFFECTED_MAX: usize = 50;
/// Bytes of a line of a log.
const LINE_BYTES_MAX: usize = 500;

/// A whole mail.
pub struct Letter {
    pub parts: Vec<Part>,
    /// Where links begin.
    pub url: String,
}

/// One thing that happened.
pub struct Part {
    pub item: MailItem,
    /// `None`: it is no longer kept.
    pub instance: Option<InstanceView>,
    /// Only the first ones have more than their row.
    pub detail: Option<Detail>,
}

#[derive(Default)]
pub struct Detail {
    pub logs: Vec<NodeLog>,
    /// Workflows that wait for this one, and how many more.
    pub affected: Vec<String>,
    pub affected_more: usize,
}

/// The end of a failed node's log.
pub struct NodeLog {
    pub node: String,
    pub lines: Vec<String>,
}

pub async fn of(shared: &Arc<Shared>, logs: &Arc<LogStore>, owed: &OwedMail) -> Result<Letter, ApiError> {
    let mut parts = Vec::new();
    for (at, item) in owed.items.iter().enumerate() {
        let is_detailed = at < DETAILED_MAX;
        let instance = instance(shared, item, is_detailed).await?;
        let detail = match &instance {
            Some(view) if is_detailed => Some(detail(shared, logs, item, view).await),
            Some(_) | None => None,
        };
        parts.push(Part { item: item.clone(), instance, detail });
    }
    Ok(Letter { parts, url: shared.config.http.pages_url() })
}

async fn instance(shared: &Arc<Shared>, item: &MailItem, is_detailed: bool) -> Result<Option<InstanceView>, ApiError> {
    let window = match &item.about {
        MailAbout::Ended { .. } => NodeWindow {
            limit: if is_detailed { NODES_MAX } else { 1 },
            order: NodeOrder::Urgency,
            ..NodeWindow::default()
        },
        MailAbout::Retrying { node } | MailAbout::Recovered { node } => {
            NodeWindow { limit: 1, pick: NodePick::Named(vec![node.to_string()]), ..NodeWindow::default() }
        }
    };
    match query::instance(shared, item.instance, item.generation, window).await {
        Ok(mut view) => {
            // All of them are there: then in the order of the definition.
            if view.nodes_next.is_none() {
                view.nodes.sort_by_key(|node| node.node_index);
            }
            Ok(Some(view))
        }
        // Trimmed or deleted since.
        Err(error) if matches!(error.code, ErrorCode::InstanceNotFound | ErrorCode::VersionNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn detail(shared: &Arc<Shared>, logs: &Arc<LogStore>, item: &MailItem, view: &InstanceView) -> Detail {
    let mut detail = Detail::default();
    let has_failed = |node: &&NodeView| match &item.about {
        MailAbout::Ended { .. } => matches!(node.state, NodeWord::Failed | NodeWord::TimedOut),
        MailAbout::Retrying { .. } => true,
        MailAbout::Recovered { .. } => false,
    };
    for node in view.nodes.iter().filter(has_failed).filter(|node| node.attempts_total > 0).take(LOGS_MAX) {
        // Of one that is tried again already the attempt that failed.
        let failed = node.attempts.iter().rev().find(|attempt| attempt.finished.is_some());
        let lines = last_lines(shared, logs, item, node, failed.map(|attempt| attempt.number)).await;
        if !lines.is_empty() {
            detail.logs.push(NodeLog { node: node.name.clone(), lines });
        }
    }
    if matches!(item.about, MailAbout::Ended { end: InstanceEnd::Failed | InstanceEnd::Killed }) {
        let names = shared.raft.replica().with_state(|state| state.downstream(&item.workflow));
        detail.affected_more = names.len().saturating_sub(AFFECTED_MAX);
        detail.affected = names.into_iter().take(AFFECTED_MAX).map(|name| name.to_string()).collect();
    }
    detail
}

/// The last lines of standard error; of a task that wrote none there, the last of all. A log that cannot be read is
/// no reason to say nothing.
async fn last_lines(
    shared: &Arc<Shared>,
    logs: &Arc<LogStore>,
    item: &MailItem,
    node: &NodeView,
    attempt: Option<u32>,
) -> Vec<String> {
    let count = shared.config.mail.log_lines;
    if count == 0 {
        return Vec::new();
    }
    for stream in [Some(LogStream::Stderr), None] {
        let query = LogQuery {
            instance: item.instance.0,
            generation: Some(item.generation.0),
            node: node.name.clone(),
            index: 0,
            attempt,
            start: LogStart::Tail(count),
            limit: count,
            grep: None,
            stream,
            wait_ms: 0,
        };
        match logs::page(shared, logs, query).await {
            Ok(page) if !page.lines.is_empty() => return page.lines.into_iter().map(cut).collect(),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, node = node.name, "a log could not be read for a mail");
                return Vec::new();
            }
        }
    }
    Vec::new()
}

fn cut(line: LogLine) -> String {
    let mut text = line.text;
    if text.len() > LINE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        text.push('…');
    }
    text
}

impl Letter {
    pub fn subject(&self) -> Message {
        let told = match self.parts.as_slice() {
            [only] => only.told(),
            parts => {
                let mut counts: Vec<(&str, Message, usize)> = Vec::new();
                for part in parts {
                    let word = part.item.about.word();
                    match counts.iter_mut().find(|(known, ..)| *known == word) {
                        Some((.., count)) => *count += 1,
                        None => counts.push((word, part.word(), 1)),
                    }
                }
                let counts = counts.into_iter().map(|(_, said, count)| say!("{} {}", count, said));
                say!("{} messages: {}", parts.len(), Value::list(counts))
            }
        };
        say!("[Ractorflow] {}", told)
    }
}

impl Part {
    /// In few words.
    pub fn word(&self) -> Message {
        match &self.item.about {
            MailAbout::Ended { end } => Message::value(end.word()),
            MailAbout::Retrying { .. } => Message::value(NodeWord::Retrying),
            MailAbout::Recovered { .. } => say!("recovered"),
        }
    }

    pub fn told(&self) -> Message {
        let MailItem { instance, workflow, .. } = &self.item;
        match &self.item.about {
            MailAbout::Ended { end } => say!("{} #{} {}", workflow, instance, end.word()),
            MailAbout::Retrying { node } => say!("{} #{}: node {} failed and is tried again", workflow, instance, node),
            MailAbout::Recovered { node } => say!("{} #{}: node {} succeeded after a retry", workflow, instance, node),
        }
    }

    /// Beside a chip that says the state.
    pub fn title(&self) -> Message {
        match &self.item.about {
            MailAbout::Ended { .. } => Message::verbatim(format!("{} #{}", self.item.workflow, self.item.instance)),
            MailAbout::Retrying { .. } | MailAbout::Recovered { .. } => self.told(),
        }
    }

    /// Why, as far as is known.
    pub fn message(&self) -> Option<Message> {
        let view = self.instance.as_ref()?;
        match &self.item.about {
            MailAbout::Ended { .. } => view.message.clone(),
            MailAbout::Retrying { .. } => {
                let node = view.nodes.first()?;
                let failed = node.attempts.iter().rev().find(|attempt| attempt.finished.is_some());
                failed.and_then(|attempt| attempt.message.clone()).or_else(|| node.message.clone())
            }
            MailAbout::Recovered { .. } => None,
        }
    }

    /// What a person types next.
    pub fn commands(&self) -> Vec<String> {
        let number = self.item.instance;
        match &self.item.about {
            MailAbout::Ended { end: InstanceEnd::Failed } => {
                vec![format!("ractorflow instance rerun {number} --from-failed"), format!("ractorflow logs {number}")]
            }
            MailAbout::Ended { end: InstanceEnd::Killed } => {
                vec![format!("ractorflow instance rerun {number} --from-failed")]
            }
            MailAbout::Ended { end: InstanceEnd::Succeeded } => Vec::new(),
            MailAbout::Retrying { .. } | MailAbout::Recovered { .. } => {
                vec![format!("ractorflow instance show {number}")]
            }
        }
    }
}

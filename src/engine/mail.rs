//! Which mails are owed, to whom, and what becomes of them.
//!
//! A mail that is owed is part of the state until the mail server has it, so that the next leader hands in what this
//! one could not: at least once, under a name of its own (`State::mail_id`) by which a server or a reader knows the
//! same one again. Sending is the Mailer's; nothing here waits for it.

use std::collections::BTreeSet;

use crate::model::definition::Definition;
use crate::model::duration::Millis;
use crate::model::id::{NodeName, WorkflowName};
use crate::model::message::{Message, Value};
use crate::model::policy::MailLevel;
use crate::model::time::Timestamp;
use crate::say;

use super::command::{Rejected, Reply};
use super::effect::Effect;
use super::engine::Step;
use super::event::{EventKind, NodeRef};
use super::settings::Settings;
use super::state::{Instance, InstanceEnd, MailAbout, MailEnd, MailItem, OwedMail, State};

/// Mails that are owed at once; what comes on top is not mailed, and that is told.
const MAILS_MAX: usize = 1_000;
/// Things in one mail; what comes on top begins another one.
const ITEMS_MAX: usize = 500;
/// Receivers of one mail.
const RECEIVERS_MAX: usize = 100;
/// Workflows downstream that are looked at.
const DOWNSTREAM_MAX: usize = 1_000;

/// `[mail]`, as far as it decides what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailRules {
    /// A mail server is set.
    pub is_on: bool,
    /// Of a node that is tried again after so many failures its receivers hear once; 0: never.
    pub retry_failures: u32,
    /// What is owed to the same receivers within this time goes into one mail.
    pub group_within: Millis,
    /// A mail that the server has not taken after this is dropped.
    pub give_up_after: Millis,
}

impl Default for MailRules {
    fn default() -> Self {
        Self {
            is_on: false,
            retry_failures: 1,
            group_within: Millis::seconds(10),
            give_up_after: Millis::seconds(86_400),
        }
    }
}

impl State {
    /// The workflows that wait for this one, directly or through others that are enabled; itself is not among them.
    pub fn downstream(&self, name: &WorkflowName) -> BTreeSet<WorkflowName> {
        let mut found = BTreeSet::new();
        let mut todo = vec![name.clone()];
        while let Some(next) = todo.pop() {
            for dependant in self.dependants(&next) {
                if found.len() < DOWNSTREAM_MAX
                    && dependant != name
                    && !found.contains(dependant)
                    && self.is_enabled(dependant)
                {
                    found.insert(dependant.clone());
                    todo.push(dependant.clone());
                }
            }
        }
        found
    }

    /// The same for the same mail, whoever hands it in: cluster, number, and what it is about first.
    pub fn mail_id(&self, mail: &OwedMail) -> String {
        let first = mail.items.first().map(|item| {
            let node = match &item.about {
                MailAbout::Ended { .. } => String::new(),
                MailAbout::Retrying { node } | MailAbout::Recovered { node } => {
                    format!(".{:016x}", crate::model::hash::fixed(&[node.as_str().as_bytes()]))
                }
            };
            format!(".{}.{}.{}{node}", item.instance, item.generation.0, item.about.word())
        });
        format!("mail-{}{}.{}@ractorflow", mail.number, first.unwrap_or_default(), self.cluster.id)
    }
}

impl Step<'_> {
    /// At the end of an instance: to its receivers, and to those of everything that waits for it.
    pub(super) fn owe_end(&mut self, head: &Instance, end: InstanceEnd) {
        let Some(definition) = self.mailing(head) else { return };
        let level = match end {
            InstanceEnd::Succeeded => MailLevel::Succeeded,
            InstanceEnd::Failed => MailLevel::Failed,
            InstanceEnd::Killed => MailLevel::Killed,
        };
        if !definition.mail_levels.contains(&level) {
            return;
        }
        // Its own first: of too many the others are left out.
        let mut to = definition.mail_receivers.clone();
        for dependant in self.state.downstream(&head.workflow) {
            let version = self.state.current_version(&dependant);
            to.extend(version.into_iter().flat_map(|version| version.definition().mail_receivers.iter().cloned()));
        }
        self.owe(head, to, MailAbout::Ended { end });
    }

    /// A node failed and is tried again.
    pub(super) fn owe_retry(&mut self, id: NodeRef) {
        if let Some((head, to, node)) = self.of_node(id, |failures, rule| failures == rule) {
            self.owe(&head, to, MailAbout::Retrying { node });
        }
    }

    /// A node succeeded: who heard of its failures hears of that too.
    pub(super) fn owe_recovery(&mut self, id: NodeRef) {
        if let Some((head, to, node)) = self.of_node(id, |failures, rule| failures >= rule) {
            self.owe(&head, to, MailAbout::Recovered { node });
        }
    }

    fn of_node(&self, id: NodeRef, is_worth: impl Fn(u32, u32) -> bool) -> Option<(Instance, Vec<String>, NodeName)> {
        let rule = self.settings.mail.retry_failures;
        let failures = self.state.nodes.get(&id)?.failures;
        if rule == 0 || !is_worth(failures, rule) {
            return None;
        }
        let head = self.state.instances.get(&id.instance)?.clone();
        let definition = self.mailing(&head)?;
        let to = definition.mail_receivers.clone();
        Some((head, to, self.state.node_name(id)?))
    }

    /// The definition of an instance that mails at all.
    fn mailing(&self, head: &Instance) -> Option<&Definition> {
        let version = self.state.version_of(head).filter(|_| self.settings.mail.is_on)?;
        Some(version.definition()).filter(|definition| !definition.mail_levels.is_empty())
    }

    fn owe(&mut self, head: &Instance, receivers: Vec<String>, about: MailAbout) {
        let mut to = BTreeSet::new();
        for receiver in receivers {
            if to.len() < RECEIVERS_MAX {
                to.insert(receiver);
            }
        }
        let to: Vec<String> = to.into_iter().collect();
        if to.is_empty() {
            return;
        }
        let item = MailItem {
            instance: head.number,
            generation: head.generation().number,
            workflow: head.workflow.clone(),
            about,
        };
        let open = self.state.derived.open_mails.get(&to).and_then(|number| self.state.mails.get(number));
        let open = open.filter(|mail| mail.due > self.at && mail.items.len() < ITEMS_MAX);
        if let Some(mail) = open.map(|mail| mail.number) {
            return self.emit(EventKind::MailAdded { mail, item });
        }
        if self.state.mails.len() >= MAILS_MAX {
            // Told once, not for each: the trouble itself is shown as long as it lasts.
            let message = say!("{} mails wait for the mail server; more are not written", MAILS_MAX);
            let is_told = self.state.attentions.values().rev().take(20).any(|known| known.message == message);
            if !is_told {
                self.attention("mail", message);
            }
            return;
        }
        // Of one that is full nothing more is expected: it need not wait.
        if let Some(full) = self.state.derived.open_mails.get(&to).copied() {
            self.close_mail(full);
        }
        let mail = OwedMail {
            number: self.state.cluster.last_mail + 1,
            to,
            items: vec![item],
            opened: self.at,
            due: self.at.plus_ms(self.settings.mail.group_within.0),
            is_closed: false,
        };
        self.emit(EventKind::MailOwed { mail: Box::new(mail) });
    }

    /// Its time has come: nothing is added to it any more.
    pub(super) fn close_mail(&mut self, number: u64) {
        if self.state.mails.get(&number).is_some_and(|mail| !mail.is_closed) {
            self.emit(EventKind::MailClosed { mail: number });
            self.effects.push(Effect::SendMail { mail: number });
        }
    }

    /// The mail server has taken too long over the oldest one.
    pub(super) fn give_up_mail(&mut self) {
        let Some((_, number)) = self.state.derived.closed_mails.first().copied() else { return };
        let hours = self.settings.mail.give_up_after.0 / 3_600_000;
        self.drop_mail(number, say!("the mail server has not taken it for {} h", hours));
    }

    /// `refused`: receivers that cannot get it, while the others have it.
    pub(super) fn mail_sent(&mut self, number: u64, refused: Vec<(String, Message)>) -> Result<Reply, Rejected> {
        let Some(mail) = self.state.mails.get(&number).filter(|mail| mail.is_closed).cloned() else {
            return Ok(Reply::Unchanged);
        };
        for (to, why) in refused {
            let message = say!("{} did not get the mail about {}: {}", to, subject(&mail), why);
            self.attention("mail", message.cut(super::instance::TEXT_MAX));
        }
        self.emit(EventKind::MailSettled { mail: number, end: MailEnd::Sent });
        Ok(Reply::Done)
    }

    /// Nobody can ever get it.
    pub(super) fn mail_refused(&mut self, number: u64, why: Message) -> Result<Reply, Rejected> {
        if self.state.mails.get(&number).is_none_or(|mail| !mail.is_closed) {
            return Ok(Reply::Unchanged);
        }
        self.drop_mail(number, why);
        Ok(Reply::Done)
    }

    /// It is tried again; what is the matter is shown meanwhile.
    pub(super) fn mail_delayed(&mut self, number: u64, why: Message) -> Result<Reply, Rejected> {
        let why = why.cut(super::instance::TEXT_MAX);
        let is_known = self.state.cluster.mail_trouble.as_ref().is_some_and(|trouble| trouble.why == why);
        if is_known || !self.state.mails.contains_key(&number) {
            return Ok(Reply::Unchanged);
        }
        self.emit(EventKind::MailFaulted { why });
        Ok(Reply::Done)
    }

    fn drop_mail(&mut self, number: u64, why: Message) {
        let Some(mail) = self.state.mails.get(&number).cloned() else { return };
        let to = Value::list(mail.to.iter().map(String::as_str));
        let message = say!("the mail about {} to {} was given up: {}", subject(&mail), to, why);
        self.attention("mail", message.cut(super::instance::TEXT_MAX));
        self.emit(EventKind::MailSettled { mail: number, end: MailEnd::Dropped { why } });
    }
}

/// What a mail is about, in few words.
fn subject(mail: &OwedMail) -> Message {
    let Some(first) = mail.items.first() else { return Message::default() };
    let first = Message::verbatim(format!("{} #{}", first.workflow, first.instance));
    match mail.items.len() - 1 {
        0 => first,
        more => say!("{} (and {} more)", first, more),
    }
}

/// When the oldest mail that waits for the mail server has waited for too long.
pub(super) fn give_up_due(state: &State, settings: &Settings) -> Option<Timestamp> {
    state.derived.closed_mails.first().map(|(opened, _)| opened.plus_ms(settings.mail.give_up_after.0))
}

/// What is still to be handed in.
pub(super) fn resent(state: &State) -> impl Iterator<Item = Effect> {
    state.derived.closed_mails.iter().map(|(_, mail)| Effect::SendMail { mail: *mail })
}

//! The Mailer of the simulated leader and the server that it hands mails to, which is down at times.

use std::collections::BTreeMap;

use ractorflow::engine::command::Envelope;
use ractorflow::engine::state::{InstanceEnd, MailAbout, MailItem};
use ractorflow::engine::{Command, Event, EventKind, State};
use ractorflow::model::id::{Generation, InstanceNumber};
use ractorflow::model::message::Message;
use ractorflow::model::policy::MailLevel;

use crate::Broken;
use crate::random::Random;
use crate::world::{Happening, Origin, World, broken};

/// What the mail server got, and what the log says that it should get.
pub struct Post {
    /// Of its own, so that a seed goes the same way with and without mails.
    random: Random,
    /// By Message-ID.
    got: BTreeMap<String, Vec<MailItem>>,
    ends: BTreeMap<(InstanceNumber, Generation), u64>,
    pub owed: u64,
    pub sent: u64,
    pub dropped: u64,
    pub again: u64,
    pub refused: u64,
}

impl Post {
    pub fn new(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x006d_6169_6c);
        Self { random, got: BTreeMap::new(), ends: BTreeMap::new(), owed: 0, sent: 0, dropped: 0, again: 0, refused: 0 }
    }

    /// An end that is to be mailed is owed in the same entry, in one mail; others are not.
    pub fn committed(&mut self, events: &[Event], state: &State) -> Result<(), Broken> {
        for event in events {
            match &event.kind {
                EventKind::MailOwed { mail } => {
                    self.owed += 1;
                    self.note(mail.number, &mail.items[0])?;
                }
                EventKind::MailAdded { mail, item } => self.note(*mail, item)?,
                EventKind::MailSettled { end: ractorflow::engine::state::MailEnd::Sent, .. } => self.sent += 1,
                EventKind::MailSettled { .. } => self.dropped += 1,
                _ => {}
            }
        }
        for event in events {
            let EventKind::InstanceFinished { instance, end, .. } = &event.kind else { continue };
            let Some(head) = state.instances.get(instance) else { continue };
            let ended = head.generations.iter().rev().find(|generation| generation.end == Some(*end));
            let Some(generation) = ended else { continue };
            let Some(version) = state.version(&head.workflow, generation.version) else { continue };
            let definition = version.definition();
            let level = match end {
                InstanceEnd::Succeeded => MailLevel::Succeeded,
                InstanceEnd::Failed => MailLevel::Failed,
                InstanceEnd::Killed => MailLevel::Killed,
            };
            let is_owed = definition.mail_levels.contains(&level) && !definition.mail_receivers.is_empty();
            if is_owed != self.ends.contains_key(&(*instance, generation.number)) {
                return broken("an_end_is_mailed_if_asked", format!("{instance}.{} {end:?}", generation.number));
            }
        }
        Ok(())
    }

    fn note(&mut self, mail: u64, item: &MailItem) -> Result<(), Broken> {
        if !matches!(item.about, MailAbout::Ended { .. }) {
            return Ok(());
        }
        match self.ends.insert((item.instance, item.generation), mail) {
            Some(other) => broken("an_end_is_owed_once", format!("{item:?} in mails {other} and {mail}")),
            None => Ok(()),
        }
    }

    /// Under one name comes one mail, however often.
    fn take(&mut self, id: String, items: Vec<MailItem>) -> Result<(), Broken> {
        match self.got.get(&id) {
            Some(known) if *known != items => broken("a_mail_sent_again_is_the_same", id),
            Some(_) => {
                self.again += 1;
                Ok(())
            }
            None => {
                self.got.insert(id, items);
                Ok(())
            }
        }
    }

    /// All that was owed and not given up is there.
    pub fn is_complete(&self) -> Result<(), Broken> {
        let got: usize =
            self.got.values().flatten().filter(|item| matches!(item.about, MailAbout::Ended { .. })).count();
        let is_complete = self.sent + self.dropped == self.owed && (self.dropped > 0 || got == self.ends.len());
        match is_complete {
            true => Ok(()),
            false => {
                let what =
                    format!("{} owed, {} sent, {} of {} ends mailed", self.owed, self.sent, got, self.ends.len());
                broken("every_mail_that_is_owed_is_sent", what)
            }
        }
    }
}

impl World {
    pub fn hand_in(&mut self, mail: u64) {
        let leadership = self.leader_number();
        let ms = self.post.random.span(5, 3_000);
        self.after(ms, Happening::Mail { leadership, mail });
    }

    /// The old leader's Mailer may still be at it when another one leads: the server takes it all the same.
    pub fn mail(&mut self, leadership: u64, number: u64) -> Result<(), Broken> {
        let found = self.replica.mails.get(&number).filter(|mail| mail.is_closed);
        let Some((items, id)) = found.map(|mail| (mail.items.clone(), self.replica.mail_id(mail))) else {
            return Ok(());
        };
        let is_down = !self.is_calm && self.post.random.chance(300);
        if is_down {
            self.post.refused += 1;
            if leadership == self.leader_number() {
                let ms = self.post.random.span(1_000, 60_000);
                self.after(ms, Happening::Mail { leadership, mail: number });
                let why = Message::verbatim(format!("down {}", self.post.random.below(2)));
                return self.tell(Command::MailDelayed { mail: number, why });
            }
            return Ok(());
        }
        self.post.take(id, items)?;
        // The server has it; that this is written down may take longer than the leadership lasts.
        let is_slow = !self.is_calm && self.post.random.chance(300);
        let ms = if is_slow { self.post.random.range(5_000, 90_000) } else { 0 };
        self.after(ms, Happening::MailTaken { leadership, mail: number });
        Ok(())
    }

    pub fn mail_taken(&mut self, leadership: u64, mail: u64) -> Result<(), Broken> {
        match leadership == self.leader_number() {
            true => self.tell(Command::MailSent { mail, refused: Vec::new() }),
            false => Ok(()),
        }
    }

    fn tell(&mut self, command: Command) -> Result<(), Broken> {
        self.receive(Envelope::internal(command), Origin::Nobody)
    }

    /// 0: nobody leads.
    fn leader_number(&self) -> u64 {
        self.leader.as_ref().map_or(0, |leader| leader.number)
    }
}

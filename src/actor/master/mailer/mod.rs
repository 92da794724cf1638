//! The Mailer: an actor beside the leader loop that hands owed mails to the mail server, one after the other.
//!
//! What is owed is the engine's (`engine::mail`); here it is only tried, for as long as the engine keeps it. A server
//! that does not answer costs time here alone: the leader loop casts a number and goes on. `letter` is what a mail
//! says, `page` how it looks.

mod letter;
mod page;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::log_store::LogStore;
use crate::actor::mail_server::mail_server;
use crate::connector::mail::{Body, Mail, MailServer, send};
use crate::engine::command::{Command, Envelope, Rejected};
use crate::engine::state::OwedMail;
use crate::model::message::{Message, Voice};
use crate::say;

use super::shared::Shared;

/// After a failure: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// While no quorum answers nothing is sent: another may lead by now.
const QUORUM_PAUSE: Duration = Duration::from_secs(1);
/// Until what became of a mail is asked to be written down again.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// What a Mailer works with.
#[derive(Clone)]
pub struct Desk {
    pub logs: Arc<LogStore>,
    /// Where the password of the mail server lies.
    pub conf: PathBuf,
}

#[derive(RactorMessage)]
pub enum MailerMessage {
    /// It is owed. The same one again while it waits or is handed in is a no-op.
    Send(u64),
    Done(u64, Tried),
    /// The pause after a failure is over.
    Again,
}

/// What came of handing in a mail.
pub enum Tried {
    /// It is off the desk: sent, or given up.
    Settled,
    /// The mail server may take it later.
    Delayed,
    /// It was not tried: this process may not lead any more.
    Held,
}

pub struct Mailer;

pub struct MailerState {
    shared: Arc<Shared>,
    desk: Desk,
    waiting: VecDeque<u64>,
    in_hand: Option<u64>,
    is_pausing: bool,
    failures: u32,
}

impl Actor for Mailer {
    type Msg = MailerMessage;
    type State = MailerState;
    type Arguments = (Arc<Shared>, Desk);

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        (shared, desk): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(MailerState { shared, desk, waiting: VecDeque::new(), in_hand: None, is_pausing: false, failures: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // No more than are owed, which the engine bounds.
            MailerMessage::Send(mail) => {
                if state.in_hand != Some(mail) && !state.waiting.contains(&mail) {
                    state.waiting.push_back(mail);
                }
            }
            MailerMessage::Done(mail, tried) => state.done(&myself, mail, tried),
            MailerMessage::Again => state.is_pausing = false,
        }
        state.work(&myself);
        Ok(())
    }
}

impl MailerState {
    fn work(&mut self, myself: &ActorRef<MailerMessage>) {
        if self.is_pausing || self.in_hand.is_some() {
            return;
        }
        let Some(mail) = self.waiting.pop_front() else { return };
        self.in_hand = Some(mail);
        let (shared, desk, myself) = (self.shared.clone(), self.desk.clone(), myself.clone());
        // In a task of its own: whatever happens in it, this actor hears that it is over.
        let work = tokio::spawn(async move { hand_in(&shared, &desk, mail).await });
        tokio::spawn(async move {
            let tried = work.await.unwrap_or_else(|error| {
                tracing::error!(mail, %error, "a mail could not be made");
                Tried::Delayed
            });
            // The actor may have stopped with the leadership.
            let _ = myself.cast(MailerMessage::Done(mail, tried));
        });
    }

    fn done(&mut self, myself: &ActorRef<MailerMessage>, mail: u64, tried: Tried) {
        self.in_hand = None;
        let pause = match tried {
            Tried::Settled => {
                self.failures = 0;
                return;
            }
            Tried::Delayed => {
                self.failures += 1;
                // Behind the others: what is wrong may be wrong with this one alone.
                self.waiting.push_back(mail);
                pause_after(self.failures)
            }
            Tried::Held => {
                self.waiting.push_front(mail);
                QUORUM_PAUSE
            }
        };
        self.is_pausing = true;
        let myself = myself.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = myself.cast(MailerMessage::Again);
        });
    }
}

/// Twice as long after each failure.
fn pause_after(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

async fn hand_in(shared: &Arc<Shared>, desk: &Desk, number: u64) -> Tried {
    let owed = shared.raft.replica().with_state(|state| {
        let mail = state.mails.get(&number).filter(|mail| mail.is_closed)?;
        Some((mail.clone(), state.mail_id(mail)))
    });
    // Settled meanwhile.
    let Some((owed, id)) = owed else { return Tried::Settled };
    if !shared.raft.leadership().borrow().is_fresh() {
        return Tried::Held;
    }
    let command = match posted(shared, desk, &owed, id).await {
        Ok(Posted { refused, .. }) => Command::MailSent { mail: number, refused },
        Err(NotPosted::ForGood(why)) => Command::MailRefused { mail: number, why },
        Err(NotPosted::Now(why)) => {
            tracing::warn!(mail = number, why = %why.english(), "a mail was not taken; it is tried again");
            Command::MailDelayed { mail: number, why }
        }
    };
    let tried = match &command {
        Command::MailDelayed { .. } => Tried::Delayed,
        _ => Tried::Settled,
    };
    report(shared, command).await;
    tried
}

/// Until it is written down, or somebody else leads: then the mail is still owed, and goes out once more.
async fn report(shared: &Arc<Shared>, command: Command) {
    while let Err(rejected) = shared.submit(Envelope::internal(command.clone())).await {
        if shared.leader().is_none() {
            return;
        }
        if rejected != Rejected::NotLeader {
            tracing::warn!(%rejected, "what became of a mail could not be written down yet");
        }
        tokio::time::sleep(REPORT_PAUSE).await;
    }
}

/// The mail server has it, for all but these.
struct Posted {
    refused: Vec<(String, Message)>,
}

enum NotPosted {
    /// Nobody of its receivers can get it.
    ForGood(Message),
    Now(Message),
}

async fn posted(shared: &Arc<Shared>, desk: &Desk, owed: &OwedMail, id: String) -> Result<Posted, NotPosted> {
    let config = &shared.config;
    let server = mail_server(&config.mail, &desk.conf).map_err(NotPosted::Now)?;
    let none = || {
        NotPosted::Now(say!(
            "{} has no mail server: host and from of [mail] in its ractorflow.toml",
            shared.name.as_str()
        ))
    };
    let server = server.ok_or_else(none)?;
    let letter = letter::of(shared, &desk.logs, owed).await.map_err(|error| NotPosted::Now(error.detail))?;
    let voice = Voice { lang: config.mail.lang(), zone: shared.zone() };
    let html = page::html(&letter, voice).map_err(|error| NotPosted::Now(Message::verbatim(error.to_string())))?;
    let subject = letter.subject().in_voice(voice);
    post(&server, Mail { to: owed.to.clone(), subject, body: Body::Html(html), id }).await
}

/// To all at once; where one of them is the trouble, to each alone.
async fn post(server: &MailServer, mail: Mail) -> Result<Posted, NotPosted> {
    let error = match send(server, &mail).await {
        Ok(()) => return Ok(Posted { refused: Vec::new() }),
        Err(error) => error,
    };
    if !error.is_of_receiver() {
        return Err(NotPosted::Now(error.said()));
    }
    let mut refused = Vec::new();
    let mut is_worth_another_try = false;
    for to in &mail.to {
        let alone = Mail { to: vec![to.clone()], ..mail.clone() };
        if let Err(error) = send(server, &alone).await {
            is_worth_another_try |= !error.is_of_receiver();
            refused.push((to.clone(), error.said()));
        }
    }
    match refused.len() < mail.to.len() {
        // What the others have is not sent to them once more.
        true => Ok(Posted { refused }),
        false if is_worth_another_try => Err(NotPosted::Now(error.said())),
        false => Err(NotPosted::ForGood(error.said())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_their_bound() {
        let pauses = [1, 2, 3, 8, 9, 40].map(|failures| pause_after(failures).as_secs());
        assert_eq!(pauses, [2, 4, 8, 256, 300, 300]);
    }
}

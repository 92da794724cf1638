//! Events of mails that are owed.

use crate::model::message::Message;
use crate::model::time::Timestamp;

use super::super::state::{AggregateKey, MailEnd, MailItem, MailTrouble, OwedMail, State};
use super::Illegal;

impl State {
    pub(super) fn mail_owed(&mut self, mail: &OwedMail) -> Result<(), Illegal> {
        if mail.number != self.cluster.last_mail + 1 {
            return Err(Illegal::new("mails are counted without gaps"));
        }
        if mail.is_closed || mail.items.is_empty() || mail.to.is_empty() {
            return Err(Illegal::new(format!("mail {} does not begin open, with something for somebody", mail.number)));
        }
        self.cluster.last_mail = mail.number;
        self.derived.mail(mail, true);
        self.mails.insert(mail.number, mail.clone());
        self.touch(AggregateKey::Mail(mail.number));
        Ok(())
    }

    pub(super) fn mail_added(&mut self, number: u64, item: &MailItem) -> Result<(), Illegal> {
        self.with_open_mail(number, |mail| mail.items.push(item.clone()))
    }

    pub(super) fn mail_closed(&mut self, number: u64) -> Result<(), Illegal> {
        self.with_open_mail(number, |mail| mail.is_closed = true)
    }

    fn with_open_mail(&mut self, number: u64, change: impl FnOnce(&mut OwedMail)) -> Result<(), Illegal> {
        let mail = self.mails.get_mut(&number).filter(|mail| !mail.is_closed);
        let mail = mail.ok_or_else(|| Illegal::new(format!("mail {number} is not open")))?;
        self.derived.mail(mail, false);
        change(mail);
        self.derived.mail(mail, true);
        self.touch(AggregateKey::Mail(number));
        Ok(())
    }

    pub(super) fn mail_settled(&mut self, number: u64, end: &MailEnd) -> Result<(), Illegal> {
        let mail = self.mails.get(&number).filter(|mail| mail.is_closed).cloned();
        let mail = mail.ok_or_else(|| Illegal::new(format!("mail {number} is not being handed in")))?;
        self.derived.mail(&mail, false);
        self.mails.remove(&number);
        self.touch(AggregateKey::Mail(number));
        // With nothing left to hand in nobody would ever find out that it works again.
        if *end == MailEnd::Sent || self.mails.is_empty() {
            self.cluster.mail_trouble = None;
        }
        Ok(())
    }

    pub(super) fn mail_faulted(&mut self, why: &Message, at: Timestamp) {
        let since = self.cluster.mail_trouble.as_ref().map_or(at, |trouble| trouble.since);
        self.cluster.mail_trouble = Some(MailTrouble { since, why: why.clone() });
    }
}

//! Events of the cluster as a whole: founding, requests, attention, retention.

use crate::model::id::{ContentHash, InstanceNumber, Principal, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::Zone;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Subject};
use crate::say;

use super::super::command::Reply;
use super::super::event::NodeRef;
use super::super::state::{Aggregate, AggregateKey, Attention, Request, State};
use super::Illegal;

/// Older attention rows make room for newer ones.
const ATTENTIONS_MAX: usize = 500;

impl State {
    pub(super) fn cluster_founded(&mut self, id: &str, zone: &Zone) -> Result<(), Illegal> {
        if !self.cluster.id.is_empty() {
            return Err(Illegal::new("the cluster is founded already"));
        }
        self.cluster.id = id.to_owned();
        self.cluster.zone = *zone;
        Ok(())
    }

    pub(super) fn clock_jumped(&mut self, by_ms: i64, at: Timestamp) {
        let seconds = by_ms.unsigned_abs() / 1000;
        let message = match by_ms < 0 {
            true => say!("the master's clock jumped back by {} s", seconds),
            false => say!("the master's clock jumped forward by {} s", seconds),
        };
        self.attention("cluster", &message, at);
    }

    pub(super) fn feature_level_raised(&mut self, level: u32) -> Result<(), Illegal> {
        if level <= self.cluster.feature_level {
            return Err(Illegal::new(format!("feature level {level} after {}", self.cluster.feature_level)));
        }
        self.cluster.feature_level = level;
        Ok(())
    }

    pub(super) fn request_answered(
        &mut self,
        by: &Principal,
        key: &str,
        digest: &ContentHash,
        reply: &Reply,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let id = (by.clone(), key.to_owned());
        if self.requests.contains_key(&id) {
            return Err(Illegal::new(format!("request {key} of {by} was answered before")));
        }
        let request = Request { by: by.clone(), key: key.to_owned(), digest: digest.clone(), reply: reply.clone(), at };
        self.derived.request(&request, true);
        self.requests.insert(id, request);
        self.touch(AggregateKey::Request(by.clone(), key.to_owned()));
        Ok(())
    }

    pub(super) fn requests_trimmed(&mut self, requests: &[(Principal, String)]) {
        for id in requests {
            if let Some(request) = self.requests.remove(id) {
                self.derived.request(&request, false);
                self.touch(AggregateKey::Request(id.0.clone(), id.1.clone()));
            }
        }
    }

    pub(super) fn attention(&mut self, subject: &str, message: &Message, at: Timestamp) {
        self.cluster.last_attention += 1;
        let number = self.cluster.last_attention;
        let row = Attention { number, at, subject: subject.to_owned(), message: message.clone() };
        self.attentions.insert(number, row);
        self.touch(AggregateKey::Attention(number));
        while self.attentions.len() > ATTENTIONS_MAX {
            if let Some((oldest, _)) = self.attentions.pop_first() {
                self.touch(AggregateKey::Attention(oldest));
            }
        }
    }

    pub(super) fn rested(
        &mut self,
        instances: &[InstanceNumber],
        fires: &[FireKey],
        at: Timestamp,
    ) -> Result<(), Illegal> {
        for number in instances {
            match self.instances.get(number) {
                Some(head) if head.is_terminal() && !head.is_resting => {}
                Some(_) => return Err(Illegal::of(*number, "cannot rest")),
                None => return Err(Illegal::of(*number, "does not exist")),
            }
        }
        for key in fires {
            if self.fires.get(key).is_none_or(|fire| fire.state.is_pending() || fire.is_resting) {
                return Err(Illegal::new("a fire that is not settled cannot rest"));
            }
        }
        let seq = self.this_seq();
        for number in instances {
            self.with_head(*number, |head| {
                head.is_resting = true;
                Ok(())
            })?;
            self.derived.rested_instances.insert(*number, (seq, at));
        }
        for key in fires {
            self.with_fire(key, |fire| fire.is_resting = true);
            self.derived.rested_fires.insert(key.clone(), (seq, at));
        }
        Ok(())
    }

    pub(super) fn instance_recalled(&mut self, number: InstanceNumber) -> Result<(), Illegal> {
        if !self.instances.contains_key(&number) {
            let rows = self.archived(number).ok_or_else(|| Illegal::of(number, "is not in the archive"))?;
            for row in rows {
                match row {
                    Aggregate::Instance(head) if head.number == number => {
                        self.instances.insert(number, head);
                    }
                    Aggregate::Node(node) if node.id.instance == number => {
                        self.nodes.insert(node.id, node);
                    }
                    _ => return Err(Illegal::of(number, "the archive gave another row")),
                }
            }
        }
        match self.instances.get(&number) {
            Some(head) if head.is_resting => {}
            Some(_) => return Err(Illegal::of(number, "is not at rest")),
            None => return Err(Illegal::of(number, "has no head in the archive")),
        }
        self.derived.rested_instances.remove(&number);
        self.with_head(number, |head| {
            head.is_resting = false;
            Ok(())
        })
    }

    pub(super) fn trimmed(
        &mut self,
        instances: &[InstanceNumber],
        fires: &[FireKey],
        facts: &[(Subject, CivilDate)],
        versions: &[(WorkflowName, VersionNumber)],
        at: Timestamp,
    ) -> Result<(), Illegal> {
        for number in instances {
            if self.instances.get(number).is_some_and(|head| !head.is_terminal()) {
                return Err(Illegal::of(*number, "is not terminal"));
            }
        }
        for (name, number) in versions {
            if self.is_version_needed(name, *number) {
                return Err(Illegal::new(format!("version {number} of {name} is in use")));
            }
        }
        for number in instances {
            if let Some(head) = self.instances.remove(number) {
                self.derived.head(&head, false);
                self.derived.rested_instances.remove(number);
                let ids: Vec<NodeRef> = self.node_range(*number).map(|(id, _)| *id).collect();
                for id in ids {
                    self.nodes.remove(&id);
                }
            }
            let seq = self.this_seq();
            self.derived.gone_instances.insert(*number, (seq, at));
            self.touch(AggregateKey::Instance(*number));
        }
        for key in fires {
            if let Some(fire) = self.fires.remove(key) {
                self.derived.fire(&fire, false);
                self.derived.rested_fires.remove(key);
            }
            self.touch(AggregateKey::Fire(key.clone()));
        }
        for (subject, date) in facts {
            if let Some(fact) = self.facts.remove(&(subject.clone(), *date)) {
                self.derived.fact(subject, *date, fact.nominal, false);
            }
            self.touch(AggregateKey::Fact(subject.clone(), *date));
        }
        for key in versions {
            if let Some(version) = self.versions.remove(key) {
                self.derived.attached(&version, false);
            }
            self.derived.graphs.remove(key);
            self.touch(AggregateKey::Version(key.0.clone(), key.1));
        }
        Ok(())
    }
}

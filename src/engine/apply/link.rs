//! Events of links that the cluster keeps.

use crate::model::id::Principal;
use crate::model::link::{KeptLink, LinkKind};
use crate::model::time::Timestamp;

use super::super::state::{AggregateKey, Link, State};
use super::Illegal;

impl State {
    pub(super) fn link_put(&mut self, link: &KeptLink, by: &Principal, at: Timestamp) {
        let key = (link.kind, link.name.clone());
        self.links.insert(key.clone(), Link { link: link.clone(), changed: at, by: by.clone() });
        self.touch(AggregateKey::Link(key.0, key.1));
    }

    pub(super) fn link_removed(&mut self, kind: LinkKind, name: &str) -> Result<(), Illegal> {
        if self.links.remove(&(kind, name.to_owned())).is_none() {
            return Err(Illegal::new(format!("there is no {} link {name}", kind.word())));
        }
        self.touch(AggregateKey::Link(kind, name.to_owned()));
        Ok(())
    }
}

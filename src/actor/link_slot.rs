//! The link of this process for its own handler: the link is started with the handler, so the handler gets it later,
//! and a message may come in between.

use std::sync::Arc;

use tokio::sync::watch;

use crate::actor::protocol::voter::MasterAt;
use crate::cluster::{Link, PeerAddress};

#[derive(Clone)]
pub struct LinkSlot {
    link: Arc<watch::Sender<Option<Link>>>,
}

impl Default for LinkSlot {
    fn default() -> Self {
        Self { link: Arc::new(watch::Sender::new(None)) }
    }
}

impl LinkSlot {
    /// A second link would be a second identity: the first one stays.
    pub fn set(&self, link: Link) {
        self.link.send_if_modified(|slot| {
            let is_first = slot.is_none();
            if is_first {
                *slot = Some(link);
            }
            is_first
        });
    }

    pub fn get(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Masters that were added after this process started: keeps a session with each.
    pub fn acquaint(&self, masters: Vec<MasterAt>) {
        let mut link = self.link.subscribe();
        tokio::spawn(async move {
            // The process ends before it has a link: then there is nobody to meet.
            let Ok(link) = link.wait_for(Option::is_some).await.map(|link| link.clone()) else { return };
            link.iter().for_each(|link| masters.iter().for_each(|master| dial(link, master)));
        });
    }
}

/// One more master to keep a session with.
pub fn dial(link: &Link, master: &MasterAt) {
    let dialed = match master.address.parse() {
        Ok(address) => link.dial(PeerAddress { name: master.name.clone(), address }).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error}")),
    };
    if let Err(error) = dialed {
        tracing::warn!(master = master.name, address = master.address, error, "a master cannot be dialed");
    }
}

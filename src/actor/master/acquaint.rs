//! Lets every process know every master: those that the configuration did not name when it started come from the
//! membership in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::actor::link_slot::dial;
use crate::actor::protocol::voter::MasterAt;
use crate::actor::protocol::{encode, kind};
use crate::cluster::{Link, Peer, Role};
use crate::store::types::VoterNode;

use super::shared::Shared;
use super::voters::name_of;

/// Dials masters that are new, and tells workers and HttpServers of all of them, at each change.
pub async fn follow(shared: Arc<Shared>, link: Link) {
    let mut members = shared.raft.members();
    loop {
        let now = members.borrow_and_update().clone();
        for (voter, node) in now.iter().filter(|(voter, _)| **voter > shared.id.0) {
            dial(&link, &MasterAt { name: name_of(*voter), address: node.addr.clone() });
        }
        link.peers().iter().for_each(|peer| tell(peer, &now));
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// A worker or HttpServer that has just connected hears who the masters are.
pub fn tell(peer: &Peer, members: &BTreeMap<u64, VoterNode>) {
    if peer.role() == Role::Master || members.is_empty() {
        return;
    }
    let masters: Vec<MasterAt> =
        members.iter().map(|(voter, node)| MasterAt { name: name_of(*voter), address: node.addr.clone() }).collect();
    let sent = encode(&masters).map_err(|error| error.to_string());
    let sent = sent.and_then(|body| peer.cast(kind::MASTERS, body).map_err(|error| error.to_string()));
    if let Err(error) = sent {
        tracing::debug!(peer = %peer.name(), %error, "it was not told who the masters are");
    }
}

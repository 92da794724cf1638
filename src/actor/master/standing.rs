//! Tells the other processes who leads, as this replica has it: also a standby knows, and says so.
//!
//! The active Master says it itself, and not before it can act.

use std::sync::Arc;

use crate::cluster::{Link, Standing};

use super::shared::Shared;
use super::voters::name_of;

pub async fn tell(shared: Arc<Shared>, link: Link) {
    let mut epochs = shared.raft.replica().watch_epoch();
    let mut told = None;
    loop {
        let (leader, epoch) = shared.raft.replica().with_state(|state| (state.cluster.leader, state.cluster.epoch));
        let of_another = leader.filter(|leader| leader.node != shared.id);
        let now = of_another.map(|leader| (epoch, leader.node));
        if now.is_some() && now != told {
            let leader = of_another.map(|leader| name_of(leader.node.0).into());
            link.set_standing(Standing { epoch, leader });
        }
        told = now;
        if epochs.changed().await.is_err() {
            return;
        }
    }
}

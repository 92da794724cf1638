//! Offline: a voter whose peers are lost for good becomes the only one.
//!
//! Writes one entry behind the log: a membership of this voter alone, in a new term. At its next start openraft
//! takes the newest membership in the log as the one in force, so this voter elects itself. Entries that only the
//! lost voters had are lost; that is what the person who forces it accepts.

use std::collections::BTreeSet;
use std::path::Path;

use openraft::{EntryPayload, LeaderId, Membership};

use crate::store::StoreError;
use crate::store::file::DataLock;
use crate::store::raft_log::RaftLog;
use crate::store::types::{LogEntry, LogId, Vote, VoterNode};

/// What a stopped voter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub last_index: Option<u64>,
    pub voters: Vec<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no log in {0}")]
    NoLog(String),
}

pub fn look(directory: &Path) -> Result<Found, PromoteError> {
    let _lock = DataLock::take(directory)?;
    let log = open(directory)?;
    let (last, _) = log.ends()?;
    Ok(Found { last_index: last.map(|log_id| log_id.index), voters: voters(directory, &log)? })
}

/// Makes the voter the only one.
pub fn alone(directory: &Path, voter: u64, address: &str) -> Result<(), PromoteError> {
    let _lock = DataLock::take(directory)?;
    let log = open(directory)?;
    let (last, vote) = log.ends()?;
    let term = last.map_or(0, |log_id| log_id.leader_id.term).max(vote.map_or(0, |vote| vote.leader_id().term)) + 1;
    let leader = LeaderId::new(term, voter);
    let log_id = LogId::new(openraft::CommittedLeaderId::new(term, voter), last.map_or(0, |log_id| log_id.index + 1));
    let data_dir = std::fs::read_to_string(directory.join("node.uuid")).ok().and_then(|text| text.trim().parse().ok());
    let node = VoterNode { addr: address.to_owned(), data_dir };
    let membership = Membership::new(vec![BTreeSet::from([voter])], std::collections::BTreeMap::from([(voter, node)]));
    log.append_one(&LogEntry { log_id, payload: EntryPayload::Membership(membership) })?;
    log.save_vote(&Vote::new(leader.term, voter))?;
    Ok(())
}

fn open(directory: &Path) -> Result<crate::store::raft_log::OfflineLog, PromoteError> {
    let file = directory.join("raft.db");
    RaftLog::open_offline(&file)?.ok_or_else(|| PromoteError::NoLog(file.display().to_string()))
}

/// The newest membership: in the log, else where the state on disk stands.
fn voters(directory: &Path, log: &crate::store::raft_log::OfflineLog) -> Result<Vec<u64>, PromoteError> {
    if let Some(membership) = log.last_membership()? {
        return Ok(membership.voter_ids().collect());
    }
    let state = directory.join("state.db");
    let (_, point) = crate::store::state_db::StateDb::open(&state)?.load()?;
    Ok(point.membership.voter_ids().collect())
}

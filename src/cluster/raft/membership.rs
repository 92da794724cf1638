//! Who votes: added, removed, and in an emergency declared, always one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::timeout;

use crate::model::message::Message;
use crate::say;
use crate::store::types::VoterNode;

use super::host::RaftHost;

/// For a new voter to receive the log, or a snapshot, before it counts.
const CATCH_UP: Duration = Duration::from_secs(120);
/// For the members to agree on a change.
const COMMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum MembershipError {
    NotLeader,
    UnderWay,
    Leads(u64),
    Last(u64),
    /// Without this one: so many votes of so many can be reached.
    NoMajority(u64, usize, usize),
    Slow(u64),
    OtherDirectory(u64),
    /// The members did not agree in time.
    NotAgreed,
    Raft(String),
}

impl MembershipError {
    pub fn said(&self) -> Message {
        match self {
            Self::NotLeader => say!("this master does not lead"),
            Self::UnderWay => say!("another change of the members is under way; try again when it is through"),
            Self::Leads(voter) => say!("m{} leads: hand the lead over first", voter),
            Self::Last(voter) => say!("m{} is the only voter", voter),
            Self::NoMajority(voter, up, left) => say!(
                "without m{} only {} of {} votes can be reached, which is no majority: start the others first",
                voter,
                up,
                left
            ),
            Self::Slow(voter) => {
                say!("m{} did not catch up in time; it stays a learner, and the same command goes on from there", voter)
            }
            Self::OtherDirectory(voter) => {
                say!("m{} is a voter with another data directory: remove it first", voter)
            }
            Self::NotAgreed => say!("the members did not agree in time; it may still happen"),
            Self::Raft(what) => Message::verbatim(what),
        }
    }
}

impl RaftHost {
    /// Makes a master a voter: first it receives the log, then it votes. Repeating it is harmless.
    pub async fn add_member(&self, voter: u64, node: VoterNode) -> Result<(), MembershipError> {
        let metrics = self.metrics();
        if metrics.voters.contains(&voter) {
            return match metrics.nodes.get(&voter) {
                Some(known) if known.data_dir != node.data_dir => Err(MembershipError::OtherDirectory(voter)),
                Some(_) | None => Ok(()),
            };
        }
        let learner = self.inner.raft.add_learner(voter, node, true);
        match timeout(CATCH_UP, learner).await {
            Ok(added) => added.map(|_| ()).map_err(refused)?,
            Err(_) => return Err(MembershipError::Slow(voter)),
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([voter]))).await
    }

    /// Takes a master out. `reachable`: the voters that can be reached now, so that the rest still has a majority.
    pub async fn remove_member(&self, voter: u64, reachable: &BTreeSet<u64>) -> Result<(), MembershipError> {
        let metrics = self.metrics();
        if voter == self.inner.voter && metrics.is_leader {
            return Err(if metrics.voters.len() == 1 {
                MembershipError::Last(voter)
            } else {
                MembershipError::Leads(voter)
            });
        }
        if metrics.voters.contains(&voter) {
            let left: Vec<u64> = metrics.voters.iter().copied().filter(|other| *other != voter).collect();
            let up = left.iter().filter(|other| reachable.contains(other)).count();
            if up * 2 <= left.len() {
                return Err(MembershipError::NoMajority(voter, up, left.len()));
            }
            return self.change(ChangeMembers::RemoveVoters(BTreeSet::from([voter]))).await;
        }
        if metrics.nodes.contains_key(&voter) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([voter]))).await;
        }
        Ok(())
    }

    /// The addresses of members changed (another port base): says so in the log.
    pub async fn move_members(&self, nodes: BTreeMap<u64, VoterNode>) -> Result<(), MembershipError> {
        self.change(ChangeMembers::SetNodes(nodes)).await
    }

    async fn change(&self, change: ChangeMembers<u64, VoterNode>) -> Result<(), MembershipError> {
        match timeout(COMMIT, self.inner.raft.change_membership(change, false)).await {
            Ok(changed) => changed.map(|_| ()).map_err(refused),
            Err(_) => Err(MembershipError::NotAgreed),
        }
    }
}

fn refused(error: RaftError<u64, ClientWriteError<u64, VoterNode>>) -> MembershipError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => MembershipError::NotLeader,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
            MembershipError::UnderWay
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => MembershipError::Raft(error.to_string()),
        RaftError::Fatal(error) => MembershipError::Raft(error.to_string()),
    }
}

//! How a voter without a log comes to one: it founds the cluster, joins the one that is there, or is refused.
//!
//! Pure: what each master says of itself comes in. A new cluster is founded only while every master of the list
//! is up and none has a log, because a voter that lost its disk looks just like a new one: what it promised is
//! forgotten, and it must never vote under its old name again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::message::Message;
use crate::say;
use crate::store::types::VoterNode;

/// What a master says of itself before it has a voter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterFacts {
    pub voter: u64,
    pub data_dir: Uuid,
    /// The configured masters with their addresses, itself too.
    pub listed: BTreeMap<u64, String>,
    pub log: Option<LogFacts>,
}

/// What a master says of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFacts {
    pub cluster: String,
    /// Voters and learners; empty while the log is.
    pub members: BTreeMap<u64, VoterNode>,
}

impl LogFacts {
    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These masters have to say something first.
    Wait(BTreeSet<u64>),
    /// Begin a cluster of these, under the id that the own log has already, or a new one.
    Found { cluster: Option<String>, members: BTreeMap<u64, VoterNode> },
    /// Start with an empty log of that cluster: its leader fills it.
    Join { cluster: String },
}

/// This voter must not start. Another try ends the same way until a person acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum FoundingError {
    OtherList { voter: u64, theirs: String, ours: String },
    Wiped(u64),
    TwoClusters(String, String),
    OtherCluster { ours: String, theirs: String },
}

impl FoundingError {
    pub fn said(&self) -> Message {
        match self {
            Self::OtherList { voter, theirs, ours } => say!(
                "m{} is configured with the masters {}, this one with {}: give all the same list",
                voter,
                theirs,
                ours
            ),
            Self::Wiped(voter) => say!(
                "m{} is a voter of the running cluster, but its log is gone; a voter must not forget what it promised. Remove it with `ractorflow cluster member remove m{0}`, start it, and add it again with `cluster member add m{0}`",
                voter
            ),
            Self::TwoClusters(one, other) => {
                say!(
                    "the masters belong to different clusters ({} and {}): this one cannot tell which is meant",
                    one,
                    other
                )
            }
            Self::OtherCluster { ours, theirs } => {
                say!("the log of this master belongs to cluster {}, the others to {}", ours, theirs)
            }
        }
    }
}

/// Decides for a master whose log is missing or empty. `others` are the masters that answered.
pub fn next(own: &VoterFacts, others: &BTreeMap<u64, VoterFacts>) -> Result<Step, FoundingError> {
    let logs = || others.values().filter_map(|other| other.log.as_ref());
    let mut running = logs().filter(|log| !log.is_empty());
    if let Some(log) = running.next() {
        if let Some(other) = running.find(|other| other.cluster != log.cluster) {
            return Err(FoundingError::TwoClusters(log.cluster.clone(), other.cluster.clone()));
        }
        return join(own, log);
    }
    let expected: BTreeSet<u64> = own.listed.keys().copied().filter(|voter| *voter != own.voter).collect();
    if let Some(other) = others.values().find(|other| expected.contains(&other.voter) && other.listed != own.listed) {
        let (theirs, ours) = (list(&other.listed), list(&own.listed));
        return Err(FoundingError::OtherList { voter: other.voter, theirs, ours });
    }
    let missing: BTreeSet<u64> = expected.iter().copied().filter(|voter| !others.contains_key(voter)).collect();
    if !missing.is_empty() {
        return Ok(Step::Wait(missing));
    }
    let founder = own.listed.keys().next().copied().unwrap_or(own.voter);
    if founder == own.voter {
        let data_dir =
            |voter: u64| if voter == own.voter { Some(own.data_dir) } else { others.get(&voter).map(|o| o.data_dir) };
        let members = own
            .listed
            .iter()
            .map(|(voter, addr)| (*voter, VoterNode { addr: addr.clone(), data_dir: data_dir(*voter) }));
        return Ok(Step::Found {
            cluster: own.log.as_ref().map(|log| log.cluster.clone()),
            members: members.collect(),
        });
    }
    match others.get(&founder).and_then(|founder| founder.log.as_ref()) {
        Some(log) => join(own, log),
        None => Ok(Step::Wait(BTreeSet::from([founder]))),
    }
}

fn join(own: &VoterFacts, log: &LogFacts) -> Result<Step, FoundingError> {
    if let Some(own_log) = own.log.as_ref().filter(|own_log| own_log.cluster != log.cluster) {
        return Err(FoundingError::OtherCluster { ours: own_log.cluster.clone(), theirs: log.cluster.clone() });
    }
    match log.members.get(&own.voter) {
        Some(known) if known.data_dir != Some(own.data_dir) => Err(FoundingError::Wiped(own.voter)),
        Some(_) | None => Ok(Step::Join { cluster: log.cluster.clone() }),
    }
}

fn list(masters: &BTreeMap<u64, String>) -> String {
    masters.iter().map(|(voter, address)| format!("m{voter}@{address}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(voters: &[u64]) -> BTreeMap<u64, String> {
        voters.iter().map(|voter| (*voter, format!("127.0.0.1:{}", 2750 + voter))).collect()
    }

    fn new(voter: u64) -> VoterFacts {
        VoterFacts { voter, data_dir: Uuid::from_u128(voter.into()), listed: listed(&[1, 2, 3]), log: None }
    }

    fn node(voter: u64, data_dir: u128) -> (u64, VoterNode) {
        (voter, VoterNode { addr: format!("127.0.0.1:{}", 2750 + voter), data_dir: Some(Uuid::from_u128(data_dir)) })
    }

    fn with_log(facts: VoterFacts, cluster: &str, members: &[(u64, VoterNode)]) -> VoterFacts {
        let members = members.iter().cloned().collect();
        VoterFacts { log: Some(LogFacts { cluster: cluster.to_owned(), members }), ..facts }
    }

    fn all(facts: &[VoterFacts]) -> BTreeMap<u64, VoterFacts> {
        facts.iter().map(|facts| (facts.voter, facts.clone())).collect()
    }

    #[test]
    fn the_lowest_founds_once_everybody_is_there_and_the_others_join_it() {
        assert_eq!(next(&new(1), &all(&[new(2)])), Ok(Step::Wait(BTreeSet::from([3]))));
        let members = BTreeMap::from([node(1, 1), node(2, 2), node(3, 3)]);
        assert_eq!(next(&new(1), &all(&[new(2), new(3)])), Ok(Step::Found { cluster: None, members: members.clone() }));
        assert_eq!(next(&new(2), &all(&[new(1), new(3)])), Ok(Step::Wait(BTreeSet::from([1]))));
        // The founder has its id on disk and died before the first entry.
        let begun = with_log(new(1), "c", &[]);
        assert_eq!(next(&new(2), &all(&[begun.clone(), new(3)])), Ok(Step::Join { cluster: "c".into() }));
        let joined = with_log(new(2), "c", &[]);
        assert_eq!(next(&begun, &all(&[joined, new(3)])), Ok(Step::Found { cluster: Some("c".into()), members }));
    }

    #[test]
    fn a_cluster_of_one_needs_nobody() {
        let own = VoterFacts { listed: listed(&[1]), ..new(1) };
        let members = BTreeMap::from([node(1, 1)]);
        assert_eq!(next(&own, &BTreeMap::new()), Ok(Step::Found { cluster: None, members }));
    }

    #[test]
    fn another_list_of_masters_is_refused_while_the_cluster_is_new_and_means_nothing_later() {
        let other = VoterFacts { listed: listed(&[1, 2]), ..new(2) };
        assert!(matches!(
            next(&new(1), &all(std::slice::from_ref(&other))),
            Err(FoundingError::OtherList { voter: 2, .. })
        ));
        let running = with_log(other, "c", &[node(1, 1), node(2, 2), node(3, 3)]);
        assert_eq!(next(&new(1), &all(&[running])), Ok(Step::Join { cluster: "c".into() }));
    }

    #[test]
    fn a_voter_that_lost_its_disk_is_refused_by_one_survivor() {
        let running = with_log(new(2), "c", &[node(1, 77), node(2, 2), node(3, 3)]);
        assert_eq!(next(&new(1), &all(&[running])), Err(FoundingError::Wiped(1)));
        // Of an early build, which noted no data directory.
        let unnamed = (1, VoterNode { addr: "127.0.0.1:2751".into(), data_dir: None });
        let running = with_log(new(2), "c", &[unnamed, node(2, 2)]);
        assert_eq!(next(&new(1), &all(&[running])), Err(FoundingError::Wiped(1)));
    }

    #[test]
    fn a_new_master_joins_a_running_cluster_that_does_not_know_it_yet() {
        let running = with_log(VoterFacts { listed: listed(&[1]), ..new(1) }, "c", &[node(1, 1)]);
        assert_eq!(next(&new(3), &all(&[running])), Ok(Step::Join { cluster: "c".into() }));
    }

    #[test]
    fn masters_of_different_clusters_are_never_mixed() {
        let first = with_log(new(2), "a", &[node(2, 2)]);
        let second = with_log(new(3), "b", &[node(3, 3)]);
        assert!(matches!(next(&new(1), &all(&[first.clone(), second])), Err(FoundingError::TwoClusters(..))));
        let own = with_log(new(1), "x", &[]);
        assert!(matches!(next(&own, &all(&[first])), Err(FoundingError::OtherCluster { .. })));
    }
}

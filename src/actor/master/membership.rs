//! Changes of who votes and who leads. They go to raft, not to the engine: each is harmless to repeat by what it
//! asks for, so none needs an idempotency key.

use std::collections::BTreeSet;

use crate::actor::protocol::{decode, encode, kind};
use crate::api::change::SwitchOverRequest;
use crate::api::{ApiError, ErrorCode};
use crate::cluster::raft::{HandOverError, MembershipError, VoterFacts};
use crate::cluster::{Peer, Role};
use crate::say;
use crate::store::types::VoterNode;

use super::shared::Shared;
use super::voters::{name_of, voter_of};

const FACTS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

pub async fn switch_over(shared: &Shared, request: &SwitchOverRequest) -> Result<(), ApiError> {
    if request.from.as_ref().is_some_and(|from| *from != shared.name) || request.to.as_ref() == Some(&shared.name) {
        return Ok(());
    }
    let target = match &request.to {
        Some(to) => voter_named(to)?,
        None => best_successor(shared).await?,
    };
    shared.raft.hand_over(target).await.map_err(|error| {
        let code = match &error {
            HandOverError::NotLeader => ErrorCode::NoLeader,
            HandOverError::NotAVoter(_) => ErrorCode::NotFound,
            HandOverError::Leads(_)
            | HandOverError::TooSoon(_)
            | HandOverError::Behind(_)
            | HandOverError::NotTaken(_) => ErrorCode::WrongState,
        };
        ApiError::new(code, error.said()).hint(say!("`ractorflow cluster nodes` shows who votes and how far each is"))
    })
}

/// Connected, as far as possible in the log, and rather one of normal priority.
async fn best_successor(shared: &Shared) -> Result<u64, ApiError> {
    let metrics = shared.raft.metrics();
    let low = |voter: u64| shared.config.cluster.low_priority.contains(&name_of(voter));
    let candidates = metrics.voters.iter().copied().filter(|voter| *voter != shared.id.0);
    let connected = candidates.filter(|voter| shared.peer(&name_of(*voter)).is_some());
    let best = connected.max_by_key(|voter| (!low(*voter), metrics.matched.get(voter).copied().flatten()));
    best.ok_or_else(|| {
        ApiError::new(ErrorCode::NoOtherVoter, say!("no other voter is connected: nobody could take the lead"))
            .hint(say!("start another master, or `ractorflow cluster member add` one"))
    })
}

pub async fn add(shared: &Shared, node: &str) -> Result<(), ApiError> {
    let voter = voter_named(node)?;
    let peer = shared.peer(node).filter(|peer| peer.role() == Role::Master).ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, say!("{} is not connected", node)).hint(say!(
            "start it first, with all masters and itself in cluster.masters: sbin/master-startup --only {}",
            node
        ))
    })?;
    let in_force = shared.raft.replica().with_state(|state| state.cluster.feature_level);
    if peer.hello().feature_level < in_force {
        let version = peer.hello().process.version.as_ref();
        let said = say!("{} (version {}) cannot read feature level {}, which is in force", node, version, in_force);
        return Err(ApiError::new(ErrorCode::WrongState, said).hint(say!("start it with the version of the others")));
    }
    let facts = facts_of(&peer).await?;
    let addr = facts.listed.get(&voter).cloned().ok_or_else(|| {
        ApiError::new(ErrorCode::WrongState, say!("{} does not list itself in cluster.masters", node))
    })?;
    let added = shared.raft.add_member(voter, VoterNode { addr, data_dir: Some(facts.data_dir) }).await;
    added.map_err(refused)
}

pub async fn remove(shared: &Shared, node: &str) -> Result<(), ApiError> {
    let voter = voter_named(node)?;
    let metrics = shared.raft.metrics();
    if !metrics.nodes.contains_key(&voter) {
        return Err(ApiError::new(ErrorCode::NotFound, say!("{} is no member of the cluster", node))
            .hint(say!("`ractorflow cluster nodes` shows the members")));
    }
    let mut reachable: BTreeSet<u64> = shared.peers().iter().filter_map(voter_of).collect();
    reachable.insert(shared.id.0);
    shared.raft.remove_member(voter, &reachable).await.map_err(refused)
}

async fn facts_of(peer: &Peer) -> Result<VoterFacts, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        ApiError::new(
            ErrorCode::WrongState,
            say!("{} did not say who it is: {}", peer.name().as_ref(), error.to_string()),
        )
    };
    let nothing = encode(&()).map_err(|error| failed(&error))?;
    let answer = peer.call(kind::VOTER_FACTS, nothing, FACTS_TIMEOUT).await.map_err(|error| failed(&error))?;
    decode(&answer).map_err(|error| failed(&error))
}

fn voter_named(node: &str) -> Result<u64, ApiError> {
    node.strip_prefix('m').and_then(|number| number.parse().ok()).filter(|number| *number > 0).ok_or_else(|| {
        ApiError::new(ErrorCode::BadRequest, say!("\"{}\" is not the name of a master", node)).hint(say!("such as m2"))
    })
}

fn refused(error: MembershipError) -> ApiError {
    let code = match &error {
        MembershipError::NotLeader => ErrorCode::NoLeader,
        MembershipError::UnderWay
        | MembershipError::Leads(_)
        | MembershipError::Last(_)
        | MembershipError::NoMajority(..)
        | MembershipError::Slow(_)
        | MembershipError::OtherDirectory(_) => ErrorCode::WrongState,
        MembershipError::NotAgreed | MembershipError::Raft(_) => ErrorCode::Internal,
    };
    let answer = ApiError::new(code, error.said());
    match error {
        MembershipError::Leads(_) => answer.hint(say!("`ractorflow cluster switch-over`")),
        MembershipError::NotLeader
        | MembershipError::UnderWay
        | MembershipError::Last(_)
        | MembershipError::NoMajority(..)
        | MembershipError::Slow(_)
        | MembershipError::OtherDirectory(_)
        | MembershipError::NotAgreed
        | MembershipError::Raft(_) => answer,
    }
}

//! Carries out what `cluster::raft` decides about a voter whose log is missing or empty: asks the other masters
//! until they have said enough.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::actor::protocol::{decode, encode, kind};
use crate::cluster::raft::{RaftHost, Step, VoterFacts, next_founding_step};
use crate::cluster::{Link, Role};
use crate::store::types::VoterNode;

use super::door::Door;
use super::start::StartError;
use super::voters::name_of;

const ASK_TIMEOUT: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Masters that start together need no words about each other.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// How the voter begins.
pub struct Begin {
    pub cluster: String,
    pub founding: Option<BTreeMap<u64, VoterNode>>,
}

/// `on_wait` hears whom the first start of a cluster waits for, when that changes.
pub async fn begin(
    directory: &Path,
    door: &Door,
    link: &Link,
    on_wait: &(dyn Fn(&BTreeSet<u64>) + Send + Sync),
) -> Result<Begin, StartError> {
    let own = door.facts();
    let log = RaftHost::peek(directory, own.voter)?;
    door.set_log(log.clone());
    if let Some(log) = log.clone()
        && RaftHost::has_history(directory)?
    {
        return Ok(Begin { cluster: log.cluster, founding: None });
    }
    let own = VoterFacts { log, ..own };
    let mut said = BTreeSet::new();
    let begun = Instant::now();
    loop {
        match next_founding_step(&own, &ask_all(link).await)? {
            Step::Found { cluster, members } => {
                let cluster = cluster.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
                return Ok(Begin { cluster, founding: Some(members) });
            }
            Step::Join { cluster } => return Ok(Begin { cluster, founding: None }),
            Step::Wait(missing) => {
                if missing != said && begun.elapsed() > SAY_AFTER {
                    let names: Vec<String> = missing.iter().copied().map(name_of).collect();
                    tracing::info!(missing = names.join(", "), "the first start of a cluster needs all its masters");
                    on_wait(&missing);
                    said = missing;
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
    }
}

async fn ask_all(link: &Link) -> BTreeMap<u64, VoterFacts> {
    let Ok(nothing) = encode(&()) else { return BTreeMap::new() };
    let masters = link.peers().into_iter().filter(|peer| peer.role() == Role::Master);
    let answers = masters.map(|peer| {
        let nothing = nothing.clone();
        async move {
            let answer = peer.call(kind::VOTER_FACTS, nothing, ASK_TIMEOUT).await.ok()?;
            decode::<VoterFacts>(&answer).ok().filter(|facts| name_of(facts.voter) == **peer.name())
        }
    });
    let answered = futures_util::future::join_all(answers).await;
    answered.into_iter().flatten().map(|facts| (facts.voter, facts)).collect()
}

//! Running openraft: settings, start, proposals, leadership, elections, and the wire to other voters.
//!
//! Knows nothing of workflows: what an entry means is the business of `store::replica`. Start reading at
//! `host::RaftHost`.

mod founding;
mod hand_over;
mod host;
mod leadership;
mod membership;
mod network;
pub mod promote;
mod settings;
mod tasks;
mod timer;

pub use founding::{FoundingError, LogFacts, Step, VoterFacts, next as next_founding_step};
pub use hand_over::HandOverError;
pub use host::{FatalError, HostConfig, HostMetrics, ProposeError, RaftHost, StartError};
pub use leadership::Leadership;
pub use membership::MembershipError;
pub use network::{NoPeers, PeerError, PreVote, RaftPeers, RaftRequest, RaftResponse};

#[cfg(test)]
mod tests;

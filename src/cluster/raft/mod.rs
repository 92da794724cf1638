//! Running openraft: settings, start, proposals, leadership, elections, and the wire to other voters.
//!
//! Knows nothing of workflows: what an entry means is the business of `store::replica`. Start reading at
//! `host::RaftHost`.

mod host;
mod leadership;
mod network;
mod settings;
mod timer;

pub use host::{FatalError, HostConfig, ProposeError, RaftHost, StartError};
pub use leadership::Leadership;
pub use network::{NoPeers, PeerError, RaftPeers, RaftRequest, RaftResponse};

#[cfg(test)]
mod tests;

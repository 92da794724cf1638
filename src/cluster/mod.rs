//! Links between processes, the raft host and its network, the election timer.

pub mod raft;

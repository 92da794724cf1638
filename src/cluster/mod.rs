//! Links between processes, the raft host and its network, the election timer.
//!
//! The link: `Link` is started with a `LinkConfig` and a `LinkHandler`, and gives a `Peer` for each node it has
//! a session with. ractor_cluster is the wire below it and nothing more; identity, liveness, bounds, pieces of
//! long messages and bulk transfers are ours. Must not know what a message means: kinds are numbers, bodies
//! bytes. Start reading at `link`, then `session`; for the way in, `acceptor`, `handshake`, `gateway`.

mod acceptor;
pub mod bulk;
mod config;
mod dialer;
mod error;
mod frame;
mod gateway;
mod handler;
mod handshake;
mod hub;
mod identity;
mod link;
mod local;
mod network;
mod outbox;
mod peer;
pub mod raft;
mod secret;
mod session;
mod socket;
pub mod tls;

pub use config::{Cookie, LinkConfig, LinkLimits, MasterAddress, PeerAddress, peers_to_dial};
pub use error::{CallError, DownReason, LinkError, Refusal, SendError};
pub use handler::{ByteReader, LinkHandler};
pub use identity::{Hello, NodeIdentity, PROTOCOL_MAX, PROTOCOL_MIN, Process, Role, Standing};
pub use link::Link;
pub use peer::Peer;
pub use session::KIND_RESERVED_MIN;

/// Must stand in every tracing filter: at `debug` ractor_cluster prints the bytes of each message, secrets too,
/// and below `error` it repeats the comings and goings that the link tells with names.
pub const TRACING_DIRECTIVE: &str = "ractor_cluster=error";

//! SQLite: the raft log, the state tables, projection, migrations, queries, retention, backup.
//!
//! Two files per voter: `raft.db` (`raft_log`: what the cluster agreed on) and `state.db` (`state_db`: what
//! that adds up to, for queries and restarts). `replica` holds the same state in memory and is the truth that
//! everything else reads. Nothing here decides anything: rules live in `engine`.
//! Start reading at `types`, then `replica`.

pub mod error;
pub mod file;
#[cfg(test)]
mod fixture;
#[cfg(test)]
pub(crate) mod history;
mod meta;
pub mod past;
pub mod query;
pub mod raft_log;
pub mod replica;
pub mod space;
pub mod state_db;
pub mod types;

pub use error::StoreError;
pub use query::{Among, Queries, QueryError, StoredMeasurement};
pub use replica::Replica;
pub use space::Space;

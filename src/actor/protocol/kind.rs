//! The kinds of messages on the cluster link. The number is part of the wire: never reused.

/// A read by an HttpServer. Call: `QueryEnvelope` → `Result<Answer, ApiError>`.
pub const QUERY: u16 = 1;
/// A change by an HttpServer. Call: `ChangeEnvelope` → `Result<ChangeAnswer, ApiError>`.
pub const CHANGE: u16 = 2;
/// What happened since. Call, answered at once or when something happens: `EventsAfter` → `Result<EventsPage, ApiError>`.
pub const EVENTS: u16 = 3;
/// Lines of a task's log. Call, may wait for more: `LogQuery` → `Result<LogPage, ApiError>`.
pub const LOG: u16 = 4;

/// Worker → master. Call for `Register`, cast for the rest: `WorkerMessage`.
pub const WORKER: u16 = 10;
/// Master → worker. Cast: `MasterMessage`.
pub const MASTER: u16 = 11;

/// Worker → master. Call: how much of a log is here. `AttemptId` → `u64`.
pub const LOG_LENGTH: u16 = 12;

/// Master → worker. Call: what its files say of links, or one opened there. `LinkOrder` → `LinkAnswer`.
pub const LINKS: u16 = 14;

/// Master → master. Call: lines of a log as this master has it. `LogCopyRead` → `Result<LogPage, ApiError>`.
pub const LOG_COPY: u16 = 13;

/// Watcher → active Master. Call: `SourceReport` → `Result<SourceAnswer, ReportError>`.
pub const SOURCE_REPORT: u16 = 20;
/// Watcher → active Master. Call: `SourceContent` → `Result<(), ReportError>`.
pub const SOURCE_CONTENT: u16 = 21;
/// Active Master → master. Cast: the receiver's watcher reports this source now, beginning with a listing. `SourceId`.
pub const SOURCE_GRANTED: u16 = 22;

/// Master → worker, HttpServer. Cast, at the start of a session and when it changes: all masters. `Vec<MasterAt>`.
pub const MASTERS: u16 = 33;

/// Master → master. Cast, at the start of a session and when it grows: certificates taken back, as lines of
/// `conf/cluster.revoked`. `Vec<String>`.
pub const REVOKED: u16 = 34;

/// Master → master, before either has a voter. Call: `()` → `VoterFacts`.
pub const VOTER_FACTS: u16 = 30;
/// Master → master. Call: `VoterQuestion` → `RaftResponse`.
pub const RAFT: u16 = 31;
/// Master → master, after the bulk transfer. Call: `SnapshotSent` → `Vote`.
pub const SNAPSHOT: u16 = 32;

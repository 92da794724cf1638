//! What the shell does after a commit. Every effect may be repeated: receivers drop what they already did.

use crate::model::assignment::Assignment;
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Boot, MasterId, SourceId, WorkerId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send the attempt to its worker, on this session or not at all: on a later one the attempt may be known dead
    /// and another in its place. The same attempt again is a no-op there.
    SendAttempt { worker: WorkerId, session: u64, assignment: Box<Assignment> },
    /// The worker's registration is committed: from here on it may be spoken to on this session.
    AdmitWorker { worker: WorkerId, session: u64 },
    /// Stop the attempt's processes: TERM, grace, KILL; of several graces the one that ends first counts. A worker
    /// that does not know it leaves a tombstone and answers `AttemptAbsent` once it has looked everywhere.
    KillAttempt { worker: WorkerId, attempt: AttemptId, grace: Millis, why: String },
    /// The result is committed: the worker may drop it from its outbox.
    AcknowledgeResult { worker: WorkerId, attempt: AttemptId },
    /// The worker is heard on a session that does not count here: it must register, so that its attempts are
    /// compared with what the log says.
    AskToRegister { worker: WorkerId },
    /// Tell a master that it reports a source, beginning with a full listing.
    GrantSource { source: SourceId, node: MasterId, boot: Boot },
    /// Hand the mail in, and say how that went. The same one again is a no-op while it is being handed in.
    SendMail { mail: u64 },
}

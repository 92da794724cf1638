//! The handle through which one process speaks with another, or one role with another in the same process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::bulk::{BulkDownload, BulkError, BulkInput, BulkOffer, BulkRequest};
use super::error::{CallError, DownReason, SendError};
use super::identity::{Hello, NodeIdentity, Role, Standing};
use super::session::Session;

/// One session with one incarnation of a node. `Local` is a role of this process, `Remote` another process;
/// both take the same way but for the socket. Cheap to clone. When the session is over every call on it fails:
/// take the peer of the next `peer_up`, or ask `Link::peer` each time.
#[derive(Clone)]
pub enum Peer {
    Local(PeerSession),
    Remote(PeerSession),
}

/// The session behind a `Peer`.
#[derive(Clone)]
pub struct PeerSession(Arc<Session>);

impl Peer {
    pub(super) fn of(session: Arc<Session>) -> Self {
        if session.is_local { Peer::Local(PeerSession(session)) } else { Peer::Remote(PeerSession(session)) }
    }

    /// Sends without an answer. `Ok` means queued here. Casts to a peer arrive in the order of these calls, each
    /// at most once, and those after a lost one do not arrive: the session is over then. They have no order
    /// with calls. A full queue refuses with `Busy`; a peer whose queue stays full is cut and comes back with a
    /// new session, in which all that it must know has to be sent again.
    pub fn cast(&self, kind: u16, body: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.inner().cast(kind, body.as_ref())
    }

    /// Sends and waits for the answer. After `Timeout` or `Down` the other side may or may not have acted.
    pub async fn call(&self, kind: u16, body: impl AsRef<[u8]>, timeout: Duration) -> Result<Bytes, CallError> {
        self.inner().call(kind, body.as_ref(), timeout).await
    }

    /// Reads an object of the peer. When the reader fails, ask again from the offset reached.
    pub async fn bulk_get(&self, request: BulkRequest) -> Result<BulkDownload, BulkError> {
        let session = self.inner();
        let get = session.bulk.get(request, self.bulk_wait());
        session.closed.run_until_cancelled(get).await.unwrap_or(Err(BulkError::Broken))
    }

    /// Gives the peer an object, from where it has it already. Returns the bytes it holds in the end.
    pub async fn bulk_put(&self, offer: BulkOffer, input: &mut dyn BulkInput) -> Result<u64, BulkError> {
        let session = self.inner();
        let put = session.bulk.put(offer, input, self.bulk_wait());
        session.closed.run_until_cancelled(put).await.unwrap_or(Err(BulkError::Broken))
    }

    /// Ends the session. The dialing side makes a new one.
    pub fn cut(&self, why: impl Into<String>) {
        self.inner().close(DownReason::Cut(why.into()));
    }

    /// Ends the bulk connection alone; transfers under way break, the next one gets a new connection.
    pub fn cut_bulk(&self) {
        self.inner().bulk.cut();
    }

    pub fn name(&self) -> &Arc<str> {
        self.inner().name()
    }

    pub fn role(&self) -> Role {
        self.info().role
    }

    pub fn info(&self) -> &NodeIdentity {
        &self.inner().hello.identity
    }

    /// What the peer said first: protocols, feature level, identity.
    pub fn hello(&self) -> &Hello {
        &self.inner().hello
    }

    /// Highest epoch the peer told of by now, and the leader of that epoch if it knows it.
    pub fn standing(&self) -> Standing {
        self.inner().standing()
    }

    /// Number of this session, the same on both sides and never used twice.
    pub fn session(&self) -> u64 {
        self.inner().number
    }

    pub fn is_up(&self) -> bool {
        self.inner().end().is_none()
    }

    /// Age of the newest heartbeat that the peer answered, from when it was sent.
    pub fn answered_ping_age(&self) -> Option<Duration> {
        self.inner().answered_ping_age()
    }

    /// Bytes queued towards the peer.
    pub fn queued_bytes(&self) -> usize {
        self.inner().queued_bytes()
    }

    pub(super) fn inner(&self) -> &Arc<Session> {
        match self {
            Peer::Local(session) | Peer::Remote(session) => &session.0,
        }
    }

    fn bulk_wait(&self) -> Duration {
        self.inner().own.limits.handshake()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({}, session {:016x})",
            if self.inner().is_local { "Local" } else { "Remote" },
            self.info().wire_name(),
            self.session()
        )
    }
}

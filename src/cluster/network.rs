//! The networked part of a link: what acceptor and dialer share on the way from a proven claim to a session
//! that the handler knows.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::config::{Cookie, PeerAddress};
use super::error::{DownReason, LinkError};
use super::gateway::Wire;
use super::hub::{Hub, random_number};
use super::identity::Hello;
use super::session::{Session, locked};
use super::tls::{Certified, Security, Stream};

/// An evicted session's connection is gone in milliseconds, or its process hangs.
const EVICTION_WAIT: Duration = Duration::from_secs(1);
/// How often sessions are held against the list of revoked certificates.
const REVOKED_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Network {
    pub hub: Arc<Hub>,
    pub cookie: Cookie,
    pub security: Security,
    wire: Wire,
    /// Who is dialed, by name and address.
    dialed: std::sync::Mutex<HashSet<(String, SocketAddr)>>,
    /// What was last said about those who do not get in.
    complaint: std::sync::Mutex<String>,
    /// One claim at a time, so that two claims to one name are judged one after the other.
    admissions: Mutex<()>,
}

impl Network {
    pub(super) async fn start(hub: Arc<Hub>, cookie: Cookie, security: Security) -> Result<Arc<Self>, LinkError> {
        let wire = Wire::start(&hub, &cookie).await?;
        let (dialed, complaint, admissions) = Default::default();
        let network = Arc::new(Self { hub, cookie, security, wire, dialed, complaint, admissions });
        if network.security.is_encrypting() {
            tokio::spawn(end_revoked(network.clone()));
        }
        Ok(network)
    }

    /// True once for each peer and address.
    pub(super) fn is_new_to_dial(&self, peer: &PeerAddress) -> bool {
        locked(&self.dialed).insert((peer.name.clone(), peer.address))
    }

    /// A session with a node that has proven the cookie, under the acceptor's number. `certified` is whom its
    /// certificate names, if the connection is encrypted. `Err` says why not.
    pub(super) async fn open(
        &self,
        hello: Hello,
        number: Option<u64>,
        certified: Option<&Certified>,
    ) -> Result<Arc<Session>, String> {
        let own = self.hub.own.hello();
        if let Some(certified) = certified.filter(|certified| !certified.subject.is(&hello.identity)) {
            let (subject, claimed) = (&certified.subject, &hello.identity);
            return Err(format!(
                "the certificate of {} {} does not speak for {} {}",
                subject.role, subject.name, claimed.role, claimed.name
            ));
        }
        if own.common_protocol(&hello).is_none() {
            return Err(format!(
                "{} speaks the protocols {} to {}, {} speaks {} to {}",
                own.identity.name,
                own.protocol_min,
                own.protocol_max,
                hello.identity.name,
                hello.protocol_min,
                hello.protocol_max,
            ));
        }
        let _one_at_a_time = self.admissions.lock().await;
        self.hub.admit(&hello.identity)?;
        // ractor_cluster must have let go of every older session of that name, or it would choose between them.
        for old in self.wire.carried(&hello.identity.name) {
            old.close(DownReason::Evicted);
            let _ = tokio::time::timeout(EVICTION_WAIT, old.gone.cancelled()).await;
        }
        let connections_max = self.hub.own.limits.connections_max;
        if self.hub.sessions_len() >= connections_max {
            return Err(format!("{} has {connections_max} sessions already", own.identity.name));
        }
        let number = number.map_or_else(random_number, Ok).map_err(|error| error.to_string())?;
        let session = Session::new(self.hub.own.clone(), number, hello, false);
        if let Some(certified) = certified {
            let _ = session.serial.set(certified.serial.clone());
        }
        self.hub.add(&session);
        Ok(session)
    }

    /// Gives the connection to ractor_cluster, and sees that the session becomes usable in time.
    pub(super) async fn carry(&self, session: &Arc<Session>, stream: Stream, is_server: bool) {
        self.wire.carry(session, stream, is_server);
        let is_usable = async {
            tokio::select! {
                () = session.announced.cancelled() => {}
                () = session.closed.cancelled() => {}
            }
        };
        if tokio::time::timeout(self.hub.own.limits.handshake(), is_usable).await.is_err() {
            session.close(DownReason::Cut("it did not get ready in time".into()));
        }
    }

    /// Warns of somebody who does not get in, but not of each of their attempts.
    pub(super) fn complain(&self, about: String) {
        let mut last = locked(&self.complaint);
        if *last == about {
            tracing::debug!("{about}");
        } else {
            tracing::warn!("{about}");
            *last = about;
        }
    }

    pub(super) async fn stop(&self) {
        self.wire.stop().await;
    }
}

/// A certificate that is taken back ends the session that began with it.
async fn end_revoked(network: Arc<Network>) {
    let stopped = network.hub.stopped.clone();
    while stopped.run_until_cancelled(tokio::time::sleep(REVOKED_EVERY)).await.is_some() {
        for session in network.hub.sessions() {
            if session.serial.get().is_some_and(|serial| network.security.is_revoked(serial)) {
                session.close(DownReason::Cut("its certificate was revoked".into()));
            }
        }
    }
}

//! Mutual TLS of the link: the cluster's own certificate authority, a certificate per node, and how a new host gets its
//! first one.
//!
//! Which connections are encrypted follows from the address alone, so that both sides agree: all but those on loopback,
//! or all. Who a peer is comes from its certificate: the claim it makes afterwards must say the same. Must not know where
//! an installation keeps its files. Start at `Security`.

mod authority;
mod certificate;
mod credentials;
mod joining;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

pub use authority::{Authority, Issued, NewAuthority, NodeKey, TlsError, Validity, fingerprint};
pub use certificate::{Certified, Subject};
pub use credentials::{TlsFiles, revoked_serial};
pub(super) use joining::serve;
pub use joining::{JoinAnswer, JoinDesk, JoinError, JoinRequest, JoiningNode, join};
pub(super) use stream::Stream;

use credentials::Credentials;

use super::config::PeerAddress;
use super::error::LinkError;
use super::handshake::HandshakeError;
use super::identity::Role;

/// What a node needs to speak with other hosts.
#[derive(Clone)]
pub struct TlsConfig {
    pub files: TlsFiles,
    /// Also on loopback.
    pub is_always: bool,
    /// Who answers hosts that want to join; nobody where the authority's key is not.
    pub desk: Option<Arc<dyn JoinDesk>>,
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConfig").field("files", &self.files).field("is_always", &self.is_always).finish()
    }
}

/// How connections of a link are made safe.
pub(super) struct Security {
    credentials: Option<Credentials>,
    is_always: bool,
    desk: Option<Arc<dyn JoinDesk>>,
}

/// What a connection turned out to be.
pub(super) enum Accepted {
    /// A node of the cluster; its certificate, if the connection is encrypted.
    Node(Stream, Option<Certified>),
    /// Somebody without a certificate who asks for one.
    Joining(Stream, Arc<dyn JoinDesk>),
}

impl Security {
    pub(super) fn open(config: Option<TlsConfig>) -> Result<Self, LinkError> {
        match config {
            None => Ok(Self { credentials: None, is_always: false, desk: None }),
            Some(TlsConfig { files, is_always, desk }) => {
                Ok(Self { credentials: Some(Credentials::open(files)?), is_always, desk })
            }
        }
    }

    /// Whether the link can use this address.
    pub(super) fn check(&self, address: SocketAddr) -> Result<SocketAddr, LinkError> {
        if address.ip().is_unspecified() {
            return Err(LinkError::Unspecified { address });
        }
        if self.credentials.is_none() && !self.is_plain(address) {
            return Err(LinkError::NoCertificate { address });
        }
        Ok(address)
    }

    fn is_plain(&self, address: SocketAddr) -> bool {
        address.ip().is_loopback() && !self.is_always
    }

    /// A connection to a master. Only masters are dialed.
    pub(super) async fn dial(
        &self,
        stream: TcpStream,
        peer: &PeerAddress,
    ) -> Result<(Stream, Option<Certified>), HandshakeError> {
        if self.is_plain(peer.address) {
            return Ok((Stream::Plain(stream), None));
        }
        let loaded = self.loaded()?;
        let subject = Subject { name: peer.name.as_str().into(), role: Role::Master };
        let name = ServerName::try_from(subject.dns_name())
            .map_err(|_| HandshakeError::Certificate(format!("{} cannot stand in a certificate", peer.name)))?;
        let connector = TlsConnector::from(loaded.client.clone());
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        let certified = peer_of(stream.get_ref().1.peer_certificates())?;
        self.refuse_revoked(&certified)?;
        Ok((Stream::secret(stream.into()), Some(certified)))
    }

    /// The caller sets the deadline: a silent client ends here.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<Accepted, HandshakeError> {
        if self.is_plain(stream.local_addr()?) {
            return Ok(Accepted::Node(Stream::Plain(stream), None));
        }
        let loaded = self.loaded()?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(tls_error)?;
        let wants_to_join =
            start.client_hello().alpn().is_some_and(|mut words| words.any(|word| word == joining::PROTOCOL));
        if let (true, Some(desk)) = (wants_to_join, &self.desk) {
            let stream = start.into_stream(loaded.greeter.clone()).await.map_err(tls_error)?;
            return Ok(Accepted::Joining(Stream::secret(stream.into()), desk.clone()));
        }
        let stream = start.into_stream(loaded.server.clone()).await.map_err(tls_error)?;
        let certified = peer_of(stream.get_ref().1.peer_certificates())?;
        self.refuse_revoked(&certified)?;
        Ok(Accepted::Node(Stream::secret(stream.into()), Some(certified)))
    }

    /// Whether a certificate was taken back since it was last looked at.
    pub(super) fn is_revoked(&self, serial: &str) -> bool {
        self.credentials.as_ref().is_some_and(|credentials| credentials.current().is_revoked(serial))
    }

    pub(super) fn is_encrypting(&self) -> bool {
        self.credentials.is_some()
    }

    fn loaded(&self) -> Result<Arc<credentials::Loaded>, HandshakeError> {
        let credentials = self.credentials.as_ref();
        let none = || HandshakeError::Certificate("this node has no certificate".into());
        credentials.map(Credentials::current).ok_or_else(none)
    }

    fn refuse_revoked(&self, certified: &Certified) -> Result<(), HandshakeError> {
        if self.is_revoked(&certified.serial) {
            let Subject { name, role } = &certified.subject;
            return Err(HandshakeError::Certificate(format!("the certificate of {role} {name} was revoked")));
        }
        Ok(())
    }
}

fn peer_of(chain: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> Result<Certified, HandshakeError> {
    let first = chain.and_then(<[_]>::first);
    let none = || HandshakeError::Certificate("the peer's certificate names no node and role".into());
    first.and_then(Certified::read).ok_or_else(none)
}

/// What is wrong with a certificate is worth a warning, a stranger's noise is not.
fn tls_error(error: std::io::Error) -> HandshakeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            HandshakeError::Certificate(format!("the peer's certificate is not good: {why}"))
        }
        Some(rustls::Error::NoCertificatesPresented) => {
            HandshakeError::Certificate("the peer has no certificate".into())
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            HandshakeError::Certificate(format!("the peer does not take this node's certificate: {alert:?}"))
        }
        _ => HandshakeError::Io(error),
    }
}

#[cfg(test)]
mod tests;

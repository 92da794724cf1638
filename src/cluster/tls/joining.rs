//! How a host without a certificate gets one: over TLS whose server is known by the hash of the cluster's authority, with
//! a secret that was made where the authority's key is.
//!
//! ```text
//! host   → TLS, protocol `ractorflow-join/1`, no certificate of its own
//! host   → secret of the token, its nodes with their public keys
//! master → the authority, a certificate for each, the cookie, the masters; or why not
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::certificate::Certified;
use super::stream::Stream;
use crate::cluster::handshake::HandshakeError;
use crate::cluster::identity::Role;
use crate::cluster::socket;
use crate::model::message::Message;
use crate::say;

/// As ALPN knows it.
pub(super) const PROTOCOL: &[u8] = b"ractorflow-join/1";
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// A node that asks for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoiningNode {
    pub name: String,
    pub role: Role,
    pub public_key: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Of the token.
    pub secret: String,
    pub nodes: Vec<JoiningNode>,
}

/// What a host needs to be of the cluster.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// The authority's certificate in PEM.
    pub authority: String,
    /// In PEM, in the order of the request.
    pub certificates: Vec<String>,
    /// In hexadecimal.
    pub cookie: String,
    /// As the settings have them: `m1@10.0.0.1:2751`.
    pub masters: Vec<String>,
    pub low_priority: Vec<String>,
    /// Serial numbers that are taken back, as the file has them.
    pub revoked: String,
}

/// Who decides about a request. It may read and write files: it is called where that harms nobody.
pub trait JoinDesk: Send + Sync {
    fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Message>;
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum JoinError {
    Reach { address: SocketAddr, error: std::io::Error },
    Deadline { address: SocketAddr },
    Unreadable { address: SocketAddr },
    Refused(Message),
    Tls(String),
}

impl JoinError {
    pub fn said(&self) -> Message {
        match self {
            Self::Reach { address, error } => say!("{} cannot be reached: {}", address.to_string(), error.to_string()),
            Self::Deadline { address } => say!("{} did not answer in time", address.to_string()),
            Self::Unreadable { address } => say!("the answer of {} cannot be read", address.to_string()),
            Self::Refused(why) => say!("the cluster says no: {}", why),
            Self::Tls(error) => Message::verbatim(error),
        }
    }
}

/// Asks a master for certificates. `authority` is the hash that the token carries.
pub async fn join(
    address: SocketAddr,
    authority: &str,
    request: &JoinRequest,
    within: Duration,
) -> Result<JoinAnswer, JoinError> {
    let asked = tokio::time::timeout(within, ask(address, authority, request, within)).await;
    asked.unwrap_or(Err(JoinError::Deadline { address }))
}

async fn ask(
    address: SocketAddr,
    authority: &str,
    request: &JoinRequest,
    within: Duration,
) -> Result<JoinAnswer, JoinError> {
    let reach = |error| JoinError::Reach { address, error };
    let unreadable = |_| JoinError::Unreadable { address };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(ByHash { authority: authority.to_owned(), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let config = config.map_err(|error| JoinError::Tls(error.to_string()))?;
    let mut config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let stream = socket::connect(address, within).await.map_err(reach)?;
    let name = ServerName::from(address.ip());
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(reach)?;
    send(&mut stream, request).await.map_err(reach)?;
    let words = receive(&mut stream).await.map_err(reach)?;
    let answer: Result<JoinAnswer, Message> = decode(&words).map_err(unreadable)?;
    answer.map_err(JoinError::Refused)
}

/// The master's side. The caller sets the deadline.
pub(in crate::cluster) async fn serve(mut stream: Stream, desk: Arc<dyn JoinDesk>) -> Result<(), HandshakeError> {
    let words = receive(&mut stream).await?;
    let request: JoinRequest = decode(&words).map_err(|_| HandshakeError::Unreadable)?;
    let decided = tokio::task::spawn_blocking(move || desk.join(request)).await;
    let answer = decided.unwrap_or_else(|_| Err(say!("the master failed")));
    if let Err(why) = &answer {
        tracing::warn!("a host that wanted to join was refused: {}", why.english());
    }
    send(&mut stream, &answer).await?;
    Ok(stream.shutdown().await?)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), words: &impl Serialize) -> std::io::Result<()> {
    let words = rmp_serde::to_vec_named(words).map_err(std::io::Error::other)?;
    stream.write_all(&[(words.len() as u32).to_be_bytes().as_slice(), &words].concat()).await?;
    stream.flush().await
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    if length > WORDS_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut words = vec![0; length];
    stream.read_exact(&mut words).await?;
    Ok(words)
}

fn decode<T: DeserializeOwned>(words: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(words)
}

/// Takes a master whose authority has the hash of the token. The name that was dialed says nothing here.
#[derive(Debug)]
struct ByHash {
    authority: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByHash {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_ours = |certificate: &&CertificateDer<'_>| hex::encode(Sha256::digest(certificate)) == self.authority;
        let authority = intermediates.iter().find(is_ours).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let certified = Certified::read(end_entity).filter(|certified| certified.subject.role == Role::Master);
        let certified = certified.ok_or(CertificateError::NotValidForName)?;
        let name = ServerName::try_from(certified.subject.dns_name()).map_err(|_| CertificateError::BadEncoding)?;
        verifier.verify_server_cert(end_entity, &[], &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone is spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! Keeps a session with each peer that is ours to dial, and a bulk connection with each such session.

use std::sync::Arc;
use std::time::Duration;

use super::bulk::{self, KIND_BULK_TOKEN};
use super::config::PeerAddress;
use super::handshake::{Claim, HandshakeError, Verdict, dial};
use super::network::Network;
use super::session::Session;
use super::socket;
use super::tls::{Certified, Stream};

pub(super) async fn keep(network: Arc<Network>, peer: PeerAddress) {
    let stopped = network.hub.stopped.clone();
    stopped.run_until_cancelled(keep_session(network, peer)).await;
}

/// At most one attempt is under way, and none while there is a session.
async fn keep_session(network: Arc<Network>, peer: PeerAddress) {
    let mut backoff = Backoff::new(&network);
    let mut last_error = String::new();
    loop {
        if let Some(session) = network.hub.holder(&peer.name) {
            session.closed.cancelled().await;
        }
        match connect(&network, &peer).await {
            Ok(session) if session.announced.is_cancelled() => {
                backoff = Backoff::new(&network);
                last_error.clear();
                tokio::spawn(keep_bulk(network.clone(), session.clone(), peer.clone()));
                session.closed.cancelled().await;
            }
            Ok(_) => {}
            Err(error) => {
                let error = error.to_string();
                if error == last_error {
                    tracing::debug!(peer = %peer.name, address = %peer.address, "not connected: {error}");
                } else {
                    tracing::warn!(peer = %peer.name, address = %peer.address, "not connected: {error}");
                    last_error = error;
                }
            }
        }
        backoff.pause().await;
    }
}

async fn connect(network: &Arc<Network>, peer: &PeerAddress) -> Result<Arc<Session>, HandshakeError> {
    let claim = Claim::Control(network.hub.own.hello());
    let (stream, certified, verdict) = shake_hands(network, peer, &claim).await?;
    let Verdict::Control { hello, session } = verdict else { return Err(HandshakeError::Unreadable) };
    if *hello.identity.name != *peer.name {
        return Err(HandshakeError::Refused(format!("it is {}, not {}", hello.identity.name, peer.name)));
    }
    let session = network.open(hello, Some(session), certified.as_ref()).await.map_err(HandshakeError::Refused)?;
    network.carry(&session, stream, false).await;
    Ok(session)
}

async fn shake_hands(
    network: &Network,
    peer: &PeerAddress,
    claim: &Claim,
) -> Result<(Stream, Option<Certified>, Verdict), HandshakeError> {
    let limits = network.hub.own.limits;
    let stream = socket::connect(peer.address, Duration::from_millis(limits.connect_ms_max)).await?;
    let shaking = async {
        let (mut stream, certified) = network.security.dial(stream, peer).await?;
        let verdict = dial(&mut stream, &network.cookie, claim).await?;
        Ok((stream, certified, verdict))
    };
    tokio::time::timeout(limits.handshake(), shaking).await.unwrap_or(Err(HandshakeError::Deadline))
}

/// The bulk connection of a session, again and again until the session ends.
async fn keep_bulk(network: Arc<Network>, session: Arc<Session>, peer: PeerAddress) {
    let closed = session.closed.clone();
    let keeping = async {
        let mut backoff = Backoff::new(&network);
        loop {
            match connect_bulk(&network, &session, &peer).await {
                Ok(stream) => {
                    bulk::run(session.clone(), stream, true).await;
                    backoff = Backoff::new(&network);
                }
                Err(error) => tracing::debug!(peer = %peer.name, "no bulk connection: {error}"),
            }
            backoff.pause().await;
        }
    };
    closed.run_until_cancelled(keeping).await;
}

async fn connect_bulk(network: &Network, session: &Arc<Session>, peer: &PeerAddress) -> Result<Stream, HandshakeError> {
    let token = session.call(KIND_BULK_TOKEN, &[], network.hub.own.limits.handshake()).await;
    let token = token.map_err(|error| HandshakeError::Refused(error.to_string()))?;
    let token = token.as_ref().try_into().map_err(|_| HandshakeError::Unreadable)?;
    let claim = Claim::Bulk { session: session.number, token };
    let (stream, _, _) = shake_hands(network, peer, &claim).await?;
    Ok(stream)
}

/// Pauses that double up to a bound, each shortened by chance so that many dialers spread.
struct Backoff {
    next_ms: u64,
    ms_max: u64,
}

impl Backoff {
    fn new(network: &Network) -> Self {
        let limits = network.hub.own.limits;
        Self { next_ms: limits.dial_backoff_ms_min, ms_max: limits.dial_backoff_ms_max }
    }

    async fn pause(&mut self) {
        let ms = self.next_ms;
        self.next_ms = (ms * 2).min(self.ms_max);
        let chance = getrandom::u64().unwrap_or(0) % (ms / 2 + 1);
        tokio::time::sleep(Duration::from_millis(ms - chance)).await;
    }
}

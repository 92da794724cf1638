//! The one way in: a listener whose connections have to say who they are, in time and in bounded number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::bulk;
use super::handshake::{Answer, Claim, HandshakeError, Verdict, receive};
use super::network::Network;
use super::session::{Session, locked};
use super::socket;
use super::tls::{self, Accepted, Certified, Stream};

/// After an error of `accept` itself, for example when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn accept(network: Arc<Network>, listener: TcpListener) {
    let strangers = Arc::new(Strangers::default());
    let stopped = network.hub.stopped.clone();
    while let Some(accepted) = stopped.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => strangers.admit(&network, stream),
            Err(error) => {
                tracing::warn!("a cluster connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Connections that have not said who they are, oldest first.
#[derive(Default)]
struct Strangers {
    waiting: Mutex<VecDeque<(tokio::task::Id, AbortHandle)>>,
}

impl Strangers {
    /// Honest ones take milliseconds, so it is a silent one that has to make room.
    fn admit(self: &Arc<Self>, network: &Arc<Network>, stream: TcpStream) {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= network.hub.own.limits.preauth_connections_max
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.abort();
        }
        let task = tokio::spawn(greet(self.clone(), network.clone(), stream));
        waiting.push_back((task.id(), task.abort_handle()));
    }

    fn is_known(&self) {
        let own = tokio::task::try_id();
        locked(&self.waiting).retain(|(task, _)| Some(*task) != own);
    }
}

async fn greet(strangers: Arc<Strangers>, network: Arc<Network>, stream: TcpStream) {
    match serve(strangers, network.clone(), stream).await {
        Ok(()) => {}
        Err(error @ (HandshakeError::WrongCookie | HandshakeError::Certificate(_))) => {
            network.complain(format!("a node was refused: {error}"))
        }
        Err(error) => tracing::debug!("a cluster connection was ended: {error}"),
    }
}

async fn serve(strangers: Arc<Strangers>, network: Arc<Network>, stream: TcpStream) -> Result<(), HandshakeError> {
    let deadline = network.hub.own.limits.handshake();
    let said = in_time(deadline, first_words(&network, stream)).await;
    strangers.is_known();
    let Some(FirstWords { mut stream, certified, claim, answer }) = said? else { return Ok(()) };
    let cookie = &network.cookie;
    match claim {
        Claim::Control(hello) => match network.open(hello, None, certified.as_ref()).await {
            Ok(session) => {
                let verdict = Verdict::Control { hello: network.hub.own.hello(), session: session.number };
                if let Err(error) = in_time(deadline, answer.send(&mut stream, cookie, &verdict)).await {
                    session.never_carried();
                    return Err(error);
                }
                network.carry(&session, stream, true).await;
                Ok(())
            }
            Err(why) => {
                network.complain(format!("a node was refused: {why}"));
                in_time(deadline, answer.send(&mut stream, cookie, &Verdict::Refused(why))).await
            }
        },
        Claim::Bulk { session, token } => {
            // The session's own node, or whoever stole the token from it.
            let is_its_own = |session: &Session| {
                certified.as_ref().is_none_or(|certified| certified.subject.is(&session.hello.identity))
            };
            let session = network.hub.session(session).filter(|session| is_its_own(session));
            match session.filter(|session| session.bulk.redeem(&token)) {
                Some(session) => {
                    in_time(deadline, answer.send(&mut stream, cookie, &Verdict::Bulk)).await?;
                    bulk::run(session, stream, false).await;
                    Ok(())
                }
                None => {
                    let refused = Verdict::Refused("the session is over or the token is used up".into());
                    in_time(deadline, answer.send(&mut stream, cookie, &refused)).await
                }
            }
        }
    }
}

/// What somebody said who has the cookie, and a certificate where one is needed.
struct FirstWords {
    stream: Stream,
    certified: Option<Certified>,
    claim: Claim,
    answer: Answer,
}

/// `None`: a host that wanted to join, and was answered.
async fn first_words(network: &Network, stream: TcpStream) -> Result<Option<FirstWords>, HandshakeError> {
    socket::prepare(&stream)?;
    match network.security.accept(stream).await? {
        Accepted::Joining(stream, desk) => tls::serve(stream, desk).await.map(|()| None),
        Accepted::Node(mut stream, certified) => {
            let (claim, answer) = receive(&mut stream, &network.cookie).await?;
            Ok(Some(FirstWords { stream, certified, claim, answer }))
        }
    }
}

async fn in_time<T>(
    deadline: Duration,
    step: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    tokio::time::timeout(deadline, step).await.unwrap_or(Err(HandshakeError::Deadline))
}

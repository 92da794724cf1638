//! What ractor_cluster carries: one remotable actor per process, its one message, and the events of sessions.
//!
//! Casts alone go over the wire, calls included: a reply may then be long, counts against the budget and is
//! numbered by us, none of which ractor's own call does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::message::{BoxedDowncastErr, SerializedMessage};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, Message, pg};
use ractor_cluster::node::NodeServerSessionInformation;
use ractor_cluster::{NodeEventSubscription, NodeServer, NodeServerMessage};

use super::config::Cookie;
use super::error::{DownReason, LinkError};
use super::frame::Header;
use super::hub::Hub;
use super::secret::wire_cookie;
use super::session::{Carrier, Session, locked};
use super::socket::{ControlStream, SentSizes, session_of};
use super::tls::Stream;

/// What ractor_cluster puts around a frame.
const ENVELOPE_BYTES_MAX: u64 = 1024;
const STOP_WAIT: Duration = Duration::from_secs(2);

/// ractor's registries are of the process: two networked links in one would answer for each other.
static IS_NETWORKED: AtomicBool = AtomicBool::new(false);

/// One frame; it crosses the wire without being copied or interpreted.
pub(super) struct Frame(Vec<u8>);

impl Message for Frame {
    fn serializable() -> bool {
        true
    }

    fn serialize(self) -> Result<SerializedMessage, BoxedDowncastErr> {
        Ok(SerializedMessage::Cast { variant: "Frame".into(), args: self.0, metadata: None })
    }

    fn deserialize(message: SerializedMessage) -> Result<Self, BoxedDowncastErr> {
        match message {
            SerializedMessage::Cast { variant, args, .. } if variant == "Frame" => Ok(Frame(args)),
            SerializedMessage::Cast { .. } | SerializedMessage::Call { .. } | SerializedMessage::CallReply(..) => {
                Err(BoxedDowncastErr)
            }
        }
    }
}

/// Hands frames to their session.
struct Gateway;

impl Actor for Gateway {
    type Msg = Frame;
    type State = Arc<Hub>;
    type Arguments = Arc<Hub>;

    async fn pre_start(&self, _: ActorRef<Frame>, hub: Arc<Hub>) -> Result<Arc<Hub>, ActorProcessingErr> {
        Ok(hub)
    }

    async fn handle(
        &self,
        _: ActorRef<Frame>,
        Frame(frame): Frame,
        hub: &mut Arc<Hub>,
    ) -> Result<(), ActorProcessingErr> {
        match Header::decode(&frame) {
            // A frame of a session that is over, or of nobody, is dropped.
            Ok(header) => {
                if let Some(session) = hub.session(header.session) {
                    session.on_frame(header, frame);
                }
            }
            Err(error) => tracing::warn!("a frame was dropped: {error}"),
        }
        Ok(())
    }
}

/// The group that holds the gateway of one incarnation of a node.
fn group_of(wire_name: &str) -> String {
    format!("link/{wire_name}")
}

/// The ractor_cluster side of a link.
pub(super) struct Wire {
    server: ActorRef<NodeServerMessage>,
    gateway: ActorRef<Frame>,
    carried: Carried,
}

/// Sessions whose connection ractor_cluster has.
type Carried = Arc<Mutex<HashMap<u64, (Arc<Session>, SentSizes)>>>;

impl Wire {
    pub(super) async fn start(hub: &Arc<Hub>, cookie: &Cookie) -> Result<Self, LinkError> {
        if IS_NETWORKED.swap(true, Ordering::AcqRel) {
            return Err(LinkError::SecondNetwork);
        }
        Self::start_actors(hub, cookie).await.inspect_err(|_| IS_NETWORKED.store(false, Ordering::Release))
    }

    async fn start_actors(hub: &Arc<Hub>, cookie: &Cookie) -> Result<Self, LinkError> {
        let actor = |error: &dyn std::fmt::Display| LinkError::Actor(error.to_string());
        let name = hub.own.identity.wire_name();
        let (gateway, _) = Actor::spawn(None, Gateway, hub.clone()).await.map_err(|error| actor(&error))?;
        pg::join(group_of(&name), vec![gateway.get_cell()]);
        // Name and host are the same text, unique by its incarnation: ractor_cluster refuses a peer of its own
        // host and port, and lets sessions of one name fight.
        let server = NodeServer::new(0, wire_cookie(cookie), name.clone(), name, None, None)
            .with_listen_addr([127, 0, 0, 1].into())
            .with_max_inbound_frame_size(hub.own.limits.frame_bytes_max as u64 + ENVELOPE_BYTES_MAX);
        let (server, _) = Actor::spawn(None, server, ()).await.map_err(|error| actor(&error))?;
        close_own_listener(&server).await;
        let carried = Carried::default();
        let subscription = Box::new(Events { carried: carried.clone() });
        server
            .cast(NodeServerMessage::SubscribeToEvents { id: "link".into(), subscription })
            .map_err(|error| actor(&error))?;
        Ok(Self { server, gateway, carried })
    }

    /// Gives a connection whose two sides know each other to ractor_cluster.
    pub(super) fn carry(&self, session: &Arc<Session>, stream: Stream, is_server: bool) {
        let sent = SentSizes::default();
        locked(&self.carried).insert(session.number, (session.clone(), sent.clone()));
        let stream = Box::new(ControlStream { stream, session: session.clone(), sent });
        let opened = NodeServerMessage::ConnectionOpenedExternal { stream, is_server };
        if self.server.cast(opened).is_err() {
            locked(&self.carried).remove(&session.number);
            session.close(DownReason::Stopped);
            session.gone.cancel();
        }
    }

    /// Sessions with a node, on whatever incarnation, that ractor_cluster still has.
    pub(super) fn carried(&self, name: &str) -> Vec<Arc<Session>> {
        let carried = locked(&self.carried);
        carried.values().filter(|(session, _)| **session.name() == *name).map(|(session, _)| session.clone()).collect()
    }

    pub(super) async fn stop(&self) {
        let _ = self.server.stop_and_wait(None, Some(STOP_WAIT)).await;
        let _ = self.gateway.stop_and_wait(None, Some(STOP_WAIT)).await;
        IS_NETWORKED.store(false, Ordering::Release);
    }
}

/// ractor_cluster's listener takes strangers without bound or deadline; ours is the only way in. Unlinked first,
/// so that its end does not make the server start another.
async fn close_own_listener(server: &ActorRef<NodeServerMessage>) {
    for listener in server.get_cell().get_children() {
        listener.unlink(server.get_cell());
        let _ = listener.kill_and_wait(Some(STOP_WAIT)).await;
    }
}

/// What ractor_cluster tells of its sessions.
struct Events {
    carried: Carried,
}

impl Events {
    fn find(&self, event: &NodeServerSessionInformation) -> Option<(Arc<Session>, SentSizes)> {
        locked(&self.carried).get(&session_of(&event.peer_addr)?).cloned()
    }
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, _: NodeServerSessionInformation) {}

    fn node_session_authenticated(&self, _: NodeServerSessionInformation) {}

    /// Both sides know each other's groups now, so the gateway is there.
    fn node_session_ready(&self, event: NodeServerSessionInformation) {
        let Some((session, sent)) = self.find(&event) else { return };
        let group = group_of(&session.hello.identity.wire_name());
        let is_theirs = |id: ActorId| matches!(id, ActorId::Remote { node_id, .. } if node_id == event.node_id);
        match pg::get_members(&group).into_iter().find(|member| is_theirs(member.get_id())) {
            Some(gateway) => session.attach(Box::new(Remote { gateway: gateway.into(), sent })),
            None => session.close(DownReason::Protocol("it has no gateway".into())),
        }
    }

    fn node_session_disconnected(&self, event: NodeServerSessionInformation) {
        let Some((session, _)) = self.find(&event) else { return };
        locked(&self.carried).remove(&session.number);
        session.close(DownReason::Closed);
        session.gone.cancel();
    }
}

/// Frames to the gateway of another process.
struct Remote {
    gateway: ActorRef<Frame>,
    sent: SentSizes,
}

impl Carrier for Remote {
    fn send(&self, frame: Vec<u8>) {
        let mut sent = locked(&self.sent);
        sent.push_back(frame.len());
        // Fails when the session is ending; its end tells everybody.
        let _ = self.gateway.cast(Frame(frame));
    }
}

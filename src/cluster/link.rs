//! A node's link: what the other modules start, ask for peers, and stop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::config::{LinkConfig, PeerAddress};
use super::error::LinkError;
use super::handler::LinkHandler;
use super::hub::Hub;
use super::identity::Standing;
use super::network::Network;
use super::peer::Peer;
use super::tls::Security;
use super::{acceptor, dialer, local};

/// The link of one node. Cheap to clone; `stop` or the end of the process ends it.
#[derive(Clone)]
pub struct Link {
    hub: Arc<Hub>,
    network: Option<Arc<Network>>,
    listen_address: Option<SocketAddr>,
}

impl Link {
    /// Starts to listen and to dial as configured; with neither there is no network at all, only `join_local`.
    /// Peers come and go through the handler. One networked link per process.
    pub async fn start(config: LinkConfig, handler: Arc<dyn LinkHandler>) -> Result<Link, LinkError> {
        if !config.node.has_valid_name() {
            return Err(LinkError::BadName(config.node.name.to_string()));
        }
        let security = Security::open(config.tls)?;
        for peer in &config.peers_to_dial {
            security.check(peer.address)?;
        }
        let listener = match config.listen {
            Some(address) => Some(listen(security.check(address)?).await?),
            None => None,
        };
        let listen_address = listener.as_ref().map(|(_, address)| *address);
        let advertised = config.advertise.or_else(|| listen_address.map(|address| address.to_string()));
        let hub = Hub::start(config.node, advertised.map(Arc::from), config.limits, handler);
        if listener.is_none() && config.peers_to_dial.is_empty() {
            return Ok(Link { hub, network: None, listen_address });
        }
        let network = match Network::start(hub.clone(), config.cookie, security).await {
            Ok(network) => network,
            Err(error) => {
                hub.stop();
                return Err(error);
            }
        };
        if let Some((listener, _)) = listener {
            tokio::spawn(acceptor::accept(network.clone(), listener));
        }
        let link = Link { hub, network: Some(network), listen_address };
        config.peers_to_dial.into_iter().try_for_each(|peer| link.dial(peer))?;
        Ok(link)
    }

    /// Keeps a session with one more peer. Naming one that is dialed already changes nothing.
    pub fn dial(&self, peer: PeerAddress) -> Result<(), LinkError> {
        let Some(network) = &self.network else { return Ok(()) };
        network.security.check(peer.address)?;
        if network.is_new_to_dial(&peer) {
            tokio::spawn(dialer::keep(network.clone(), peer));
        }
        Ok(())
    }

    /// Connects two roles of this process: each becomes a `Peer::Local` of the other.
    pub fn join_local(&self, other: &Link) -> Result<(), LinkError> {
        local::join(&self.hub, &other.hub)
    }

    /// Where we listen, with the real port.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen_address
    }

    /// Who can be reached now, by name.
    pub fn peers(&self) -> Vec<Peer> {
        self.hub.peers()
    }

    pub fn peer(&self, name: &str) -> Option<Peer> {
        self.hub.peer(name)
    }

    /// What we tell others of the leadership, at once and with each heartbeat. Lower epochs are ignored.
    pub fn set_standing(&self, standing: Standing) {
        self.hub.set_standing(standing);
    }

    pub fn standing(&self) -> Standing {
        self.hub.own.standing()
    }

    /// Ends every session, and refuses new ones.
    pub async fn stop(&self) {
        self.hub.stop();
        if let Some(network) = &self.network {
            network.stop().await;
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), LinkError> {
    let failed = |source| LinkError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    Ok((listener, real))
}

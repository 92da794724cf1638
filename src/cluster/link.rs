//! A node's link: what the other modules start, ask for peers, and stop.

use std::sync::Arc;

use super::config::LinkConfig;
use super::error::LinkError;
use super::handler::LinkHandler;
use super::hub::Hub;
use super::identity::Standing;
use super::local;
use super::peer::Peer;

/// The link of one node. Cheap to clone; `stop` or the end of the process ends it.
#[derive(Clone)]
pub struct Link {
    hub: Arc<Hub>,
}

impl Link {
    /// Starts to listen and to dial as configured. Peers come and go through the handler.
    pub async fn start(config: LinkConfig, handler: Arc<dyn LinkHandler>) -> Result<Link, LinkError> {
        if !config.node.has_valid_name() {
            return Err(LinkError::BadName(config.node.name.to_string()));
        }
        let hub = Hub::start(config.node.clone(), config.limits, handler);
        Ok(Link { hub })
    }

    /// Connects two roles of this process: each becomes a `Peer::Local` of the other.
    pub fn join_local(&self, other: &Link) -> Result<(), LinkError> {
        local::join(&self.hub, &other.hub)
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
    }
}

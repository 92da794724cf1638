//! The registration that orders come over and reports go over.

use std::sync::Arc;

use crate::actor::protocol::worker::SessionNumber;
use crate::model::id::Epoch;

use super::link::MasterLink;

#[derive(Clone)]
pub struct Session {
    pub number: SessionNumber,
    pub epoch: Epoch,
    pub link: Arc<dyn MasterLink>,
}

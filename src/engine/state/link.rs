//! Links that the cluster keeps.

use serde::{Deserialize, Serialize};

use crate::model::id::Principal;
use crate::model::link::KeptLink;
use crate::model::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub link: KeptLink,
    /// The last change, and who made it.
    pub changed: Timestamp,
    pub by: Principal,
}

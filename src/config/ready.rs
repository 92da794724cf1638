//! What a started role says about itself: `run/<node>.ready`, written by the role when it can do its work and
//! removed when it stops. Start scripts wait for it, status and the command line read it.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Master,
    Worker,
    Http,
    Standalone,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Worker => "worker",
            Role::Http => "http",
            Role::Standalone => "standalone",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub node: String,
    pub role: Role,
    pub pid: u32,
    /// `host:port` it listens on; workers listen nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// One word or number worth printing: `active`, `4 slots`.
    #[serde(default)]
    pub note: String,
}

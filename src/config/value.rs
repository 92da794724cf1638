//! Value types of the file that are more than numbers and text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::id::MasterId;
use crate::model::message::Message;
use crate::say;

/// A voter: `m1@127.0.0.1:2751`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    pub id: MasterId,
    pub host: String,
    pub port: u16,
}

/// Is it a loopback address? A name is none, whatever it stands for.
pub fn is_loopback(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl MasterAddress {
    pub fn local(id: u64, port: u16) -> Self {
        Self { id: MasterId(id), host: "127.0.0.1".to_owned(), port }
    }

    /// Nobody on another host reaches such a master.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// `m1`.
    pub fn name(&self) -> String {
        format!("m{}", self.id)
    }

    /// `127.0.0.1:2751`, an IPv6 host in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name(), self.address())
    }
}

/// The text is not `m1@host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub struct BadMasterAddress(String);

impl BadMasterAddress {
    pub fn said(&self) -> Message {
        say!("\"{}\" is not a master (expected m<number>@host:port, such as m1@127.0.0.1:2751)", self.0)
    }
}

impl FromStr for MasterAddress {
    type Err = BadMasterAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadMasterAddress(text.to_owned());
        let (name, address) = text.trim().split_once('@').ok_or_else(bad)?;
        let id: u64 = name.strip_prefix('m').and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or_else(bad)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(bad());
        }
        Ok(Self { id: MasterId(id), host: host.to_owned(), port })
    }
}

impl Serialize for MasterAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MasterAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an undefined parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undefined {
    Error,
    Keep,
}

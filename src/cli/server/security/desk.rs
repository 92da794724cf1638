//! Decides about hosts that ask to join, in the master whose home has the authority's key.

use std::collections::BTreeSet;

use crate::cli::console::Failure;
use crate::cluster::Role;
use crate::cluster::tls::{JoinAnswer, JoinDesk, JoinRequest, JoiningNode};
use crate::config::{Config, Home};
use crate::model::message::Message;
use crate::say;

use super::issue;
use super::ledger::Ledger;

const NODES_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 62;

pub struct HomeDesk {
    home: Home,
}

impl HomeDesk {
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    fn decide(&self, request: &JoinRequest) -> Result<JoinAnswer, Failure> {
        let ledger = Ledger::open(&self.home)?;
        let pass = ledger.pass(&request.secret)?;
        let pass = pass.ok_or_else(|| Failure::other(say!("the token is unknown, used up or too old")))?;
        let config = Config::load(&self.home)?;
        let mut names = BTreeSet::new();
        if request.nodes.is_empty() || request.nodes.len() > NODES_MAX {
            return Err(Failure::other(say!("1 to {} nodes join at once", NODES_MAX)));
        }
        for node in &request.nodes {
            check_name(&node.name, node.role, &config)?;
            if !pass.roles.contains(&node.role) {
                return Err(Failure::other(say!("the token lets no {} join", node.role.to_string())));
            }
            if !names.insert(&node.name) {
                return Err(Failure::other(say!("{} is named twice", node.name)));
            }
            if !ledger.valid(&node.name)?.is_empty() {
                return Err(Failure::other(say!("{} has a certificate already", node.name)).hint(say!(
                    "if it is to be replaced, where the cluster was made: ractorflow cluster cert revoke {}",
                    node.name
                )));
            }
        }
        // Used up first: whoever has it must not get two answers.
        ledger.use_up(&pass)?;
        let certificate = |node: &JoiningNode| issue(&self.home, &ledger, &node.name, node.role, &node.public_key);
        Ok(JoinAnswer {
            certificates: request.nodes.iter().map(certificate).collect::<Result<_, _>>()?,
            authority: std::fs::read_to_string(self.home.authority_file())?,
            cookie: std::fs::read_to_string(self.home.cookie_file())?.trim().to_owned(),
            masters: config.cluster.masters.iter().map(ToString::to_string).collect(),
            low_priority: config.cluster.low_priority.clone(),
            revoked: ledger.revoked_text()?,
        })
    }
}

impl JoinDesk for HomeDesk {
    fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Message> {
        let answer = self.decide(&request).map_err(|failure| match failure.hint {
            Some(hint) => say!("{} ({})", failure.message, hint),
            None => failure.message,
        })?;
        let names: Vec<&str> = request.nodes.iter().map(|node| node.name.as_str()).collect();
        tracing::info!(nodes = names.join(","), "joined the cluster with a token");
        Ok(answer)
    }
}

/// A name of a master is its number among the voters, and nobody else's.
pub(super) fn check_name(name: &str, role: Role, config: &Config) -> Result<(), Failure> {
    let is_word = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_word(name) {
        return Err(Failure::other(say!(
            "\"{}\" is no name of a node: letters, digits, - and _",
            name.escape_debug().to_string()
        )));
    }
    let is_numbered = name.strip_prefix('m').is_some_and(|number| number.parse::<u64>().is_ok_and(|number| number > 0));
    let is_listed = config.cluster.masters.iter().any(|master| master.name() == name);
    match role {
        Role::Master if !is_numbered => Err(Failure::other(say!("a master is called m and a number, not {}", name))),
        Role::Worker | Role::Http if is_listed => Err(Failure::other(say!("{} is a master", name))),
        Role::Master | Role::Worker | Role::Http => Ok(()),
    }
}

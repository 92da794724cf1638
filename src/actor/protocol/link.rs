//! What a master asks a worker about links. Links travel sealed, as they are kept.

use serde::{Deserialize, Serialize};

use crate::connector::probe::Tried;
use crate::model::link::{KeptLink, LinkKind};
use crate::model::message::Message;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkOrder {
    /// What its own files say.
    List,
    /// Open one there.
    Test(LinkTestOrder),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTestOrder {
    /// `None`: whatever has the name.
    pub kind: Option<LinkKind>,
    pub name: String,
    /// What the cluster keeps under this name.
    pub kept: Vec<KeptLink>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkAnswer {
    Listed(ListedLinks),
    Tested(Vec<Tried>),
    /// Why not.
    Failed(Message),
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListedLinks {
    pub links: Vec<ListedLink>,
    pub faults: Vec<Message>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLink {
    pub kind: LinkKind,
    pub name: String,
    pub type_word: String,
    pub place: String,
    pub username: String,
    pub description: String,
}

//! Links that the cluster keeps: who may put which, and which of them go with an attempt.

use crate::model::action::BodyElement;
use crate::model::assignment::Rendered;
use crate::model::link::{ATTRIBUTES, KeptLink, LinkKind};
use crate::say;

use super::command::{Rejected, Reply};
use super::engine::Step;
use super::event::EventKind;
use super::state::State;

/// Links of one cluster.
const LINKS_MAX: usize = 1_000;
const NAME_CHARS_MAX: usize = 128;
/// Of one link, sealed.
const SEALED_BYTES_MAX: usize = 256 * 1024;
const SHOWN_CHARS_MAX: usize = 4096;

impl Step<'_> {
    /// `replaces`: the sealed text that the new one was made from, so that of two changes at once none is lost;
    /// `None`: the link is to be new.
    pub(super) fn put_link(&mut self, link: KeptLink, replaces: Option<&str>) -> Result<Reply, Rejected> {
        check(&link)?;
        let known = self.state.links.get(&(link.kind, link.name.clone()));
        match (known, replaces) {
            (None, None) if self.state.links.len() >= LINKS_MAX => {
                return Err(Rejected::conflict_hint(
                    say!("the cluster has {} links, and takes no more", LINKS_MAX),
                    say!("remove those that nobody uses"),
                ));
            }
            (None, None) => {}
            (None, Some(_)) => return Err(Rejected::no_link(&link.name)),
            (Some(_), None) => {
                return Err(Rejected::conflict_hint(
                    say!("the cluster has a link \"{}\" already", link.name),
                    say!("`ractorflow link update {}` changes it", link.name),
                ));
            }
            (Some(known), Some(replaces)) if known.link.sealed != replaces => {
                return Err(Rejected::conflict_hint(
                    say!("link \"{}\" was changed by somebody else meanwhile", link.name),
                    say!("look at it, then change it again"),
                ));
            }
            (Some(_), Some(_)) => {}
        }
        let by = self.by.clone();
        self.emit(EventKind::LinkPut { link: Box::new(link), by });
        Ok(Reply::Done)
    }

    pub(super) fn remove_link(&mut self, kind: LinkKind, name: String) -> Result<Reply, Rejected> {
        if !self.state.links.contains_key(&(kind, name.clone())) {
            return Err(Rejected::no_link(&name));
        }
        let by = self.by.clone();
        self.emit(EventKind::LinkRemoved { kind, name, by });
        Ok(Reply::Done)
    }
}

fn check(link: &KeptLink) -> Result<(), Rejected> {
    let name = &link.name;
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if !is_name {
        return Err(Rejected::Invalid(say!(
            "the name of a link has 1 to {} characters, all of them printable",
            NAME_CHARS_MAX
        )));
    }
    let shown = [&link.type_word, &link.place, &link.username, &link.description];
    if link.sealed.len() > SEALED_BYTES_MAX || shown.iter().any(|text| text.chars().count() > SHOWN_CHARS_MAX) {
        return Err(Rejected::Invalid(say!("link \"{}\" is too long", name)));
    }
    Ok(())
}

impl State {
    /// The kept links that a body names, each once, in the order of their names. That a host has one of the same
    /// name in its own file is not known here: there the file counts.
    pub(super) fn links_of(&self, body: &BodyElement<Rendered>) -> Vec<KeptLink> {
        let mut names = std::collections::BTreeSet::new();
        collect(body, &mut names);
        names.into_iter().filter_map(|key| self.links.get(&key)).map(|kept| kept.link.clone()).collect()
    }
}

fn collect(element: &BodyElement<Rendered>, names: &mut std::collections::BTreeSet<(LinkKind, String)>) {
    for (attribute, kind) in ATTRIBUTES {
        if let Some(name) = element.attribute(attribute) {
            names.insert((*kind, name.text.trim().to_owned()));
        }
    }
    element.children.iter().for_each(|child| collect(child, names));
}

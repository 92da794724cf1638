//! Links: changes of those that the cluster keeps, and what is told of them and of the files of the workers.
//!
//! A change comes in with its secret in clear and leaves this file sealed: nothing behind it sees the text. Workers are
//! asked when somebody wants to know, so what is told is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::actor::protocol::link::{LinkAnswer, LinkOrder, LinkTestOrder, ListedLinks};
use crate::actor::protocol::{decode, encode, kind};
use crate::api::change::{Hidden, LinkRequest};
use crate::api::{
    ApiError, Change, ErrorCode, LinkPropertyView, LinkStepView, LinkTestView, LinkTextView, LinkView, LinksView,
    Query, Reply, WorkerLinksView,
};
use crate::cluster::{CallError, Peer, Role};
use crate::connector::link::kept::{self, KeepError, MASK};
use crate::connector::link::seal::{SealError, SealKey};
use crate::connector::probe::{Origin, Tried};
use crate::engine::command::{Command, Rejected};
use crate::engine::state::{Link, Version};
use crate::model::action::BodyElement;
use crate::model::definition::NodeKind;
use crate::model::id::ContentHash;
use crate::model::link::{ATTRIBUTES, KeptLink, LinkKind, LinkText};
use crate::model::message::Message;
use crate::model::parameter::Template;
use crate::say;

use super::change::error_of;
use super::shared::Shared;

/// To hear what a worker has in its files.
const LIST_WITHIN: Duration = Duration::from_secs(3);
/// To hear what came of a test; the worker ends it sooner.
const TEST_WITHIN: Duration = Duration::from_secs(25);
/// Names in one answer.
const USED_BY_MAX: usize = 50;

fn key(shared: &Shared) -> Result<SealKey, ApiError> {
    SealKey::read(&shared.conf_dir).map_err(|error| ApiError::new(ErrorCode::Internal, error.said()))
}

/// Of a change with a secret in it.
pub fn digest(shared: &Shared, change: &Change) -> Result<ContentHash, ApiError> {
    let mut text = change.verb().as_bytes().to_vec();
    text.push(0);
    text.extend(serde_json::to_vec(change).map_err(ApiError::internal)?);
    Ok(ContentHash::from(key(shared)?.digest(&text)))
}

// ---- changes

pub fn add(shared: &Shared, name: String, kind: Option<LinkKind>, request: LinkRequest) -> Result<Command, ApiError> {
    let type_word = request.type_word.as_deref().unwrap_or_default();
    let by_place = || match (&request.url, &request.host) {
        (Some(_), None) => Some(LinkKind::Database),
        (None, Some(_)) => Some(LinkKind::File),
        _ => None,
    };
    let kind = kind.or_else(|| kept::kind_of(type_word)).or_else(by_place).ok_or_else(|| {
        ApiError::new(ErrorCode::ParameterInvalid, say!("the type \"{}\" is not known", type_word))
            .hint(say!("a database has a type and a URL, a file system a type and a host"))
    })?;
    put(shared, LinkText::new(kind, &name), request, None)
}

pub fn update(
    shared: &Shared,
    name: String,
    kind: Option<LinkKind>,
    request: LinkRequest,
) -> Result<Command, ApiError> {
    let known = known(shared, &name, kind)?.ok_or_else(|| error_of(&Rejected::no_link(&name)))?;
    let text = match key(shared)?.open(&known.link) {
        Ok(text) => text,
        // What cannot be opened any more is written anew; what is seen of it stays.
        Err(SealError::OtherKey | SealError::Broken) => LinkText {
            type_word: known.link.type_word.clone(),
            username: known.link.username.clone(),
            description: known.link.description.clone(),
            ..LinkText::new(known.link.kind, &name)
        },
        Err(error @ SealError::Key(_)) => return Err(ApiError::new(ErrorCode::Internal, error.said())),
    };
    put(shared, text, request, Some(known.link.sealed))
}

pub fn remove(shared: &Shared, name: String, kind: Option<LinkKind>) -> Result<Command, ApiError> {
    // Of a request that comes again the link may be gone by now: the engine knows the answer.
    let found = known(shared, &name, kind)?.map(|known| known.link.kind);
    Ok(Command::RemoveLink { kind: found.or(kind).unwrap_or(LinkKind::Database), name })
}

fn put(
    shared: &Shared,
    mut text: LinkText,
    request: LinkRequest,
    replaces: Option<String>,
) -> Result<Command, ApiError> {
    let set = |field: &mut String, value: Option<String>| {
        if let Some(value) = value {
            *field = value.trim().to_owned();
        }
    };
    let LinkRequest { type_word, url, host, port, username, password, properties, description } = request;
    set(&mut text.type_word, type_word);
    set(&mut text.url, url);
    set(&mut text.host, host);
    set(&mut text.port, port);
    set(&mut text.username, username);
    set(&mut text.description, description);
    // What an answer showed in its place is no new one.
    let is_new = |value: &Hidden| value.0 != MASK;
    if let Some(Hidden(value)) = password.filter(is_new) {
        text.password = value;
    }
    for (name, value) in properties {
        match value {
            None => text.properties.retain(|(known, _)| *known != name),
            Some(value) if !is_new(&value) => {}
            Some(Hidden(value)) => match text.properties.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => text.properties.push((name, value)),
            },
        }
    }
    let link = kept::keep(&key(shared)?, &text).map_err(|error| wrong(&error))?;
    Ok(Command::PutLink { link: Box::new(link), replaces })
}

fn wrong(error: &KeepError) -> ApiError {
    let api = ApiError::new(ErrorCode::ParameterInvalid, error.said());
    match error.hint() {
        Some(hint) => api.hint(hint),
        None => api,
    }
}

/// The kept link of this name; `None`: there is none.
fn known(shared: &Shared, name: &str, kind: Option<LinkKind>) -> Result<Option<Link>, ApiError> {
    let mut found: Vec<Link> = shared.raft.replica().with_state(|state| {
        let kinds = LinkKind::ALL.iter().copied().filter(|one| kind.is_none_or(|kind| kind == *one));
        kinds.filter_map(|one| state.links.get(&(one, name.to_owned())).cloned()).collect()
    });
    if found.len() > 1 {
        return Err(ApiError::new(ErrorCode::BadRequest, say!("\"{}\" is both a database and a file system", name))
            .hint(say!("say which one: kind is database or file")));
    }
    Ok(found.pop())
}

// ---- what is told

/// `None`: the question is about something else.
pub async fn answer(shared: &Arc<Shared>, query: &Query) -> Option<Result<Reply, ApiError>> {
    Some(match query {
        Query::Links => Ok(Reply::Links(Box::new(list(shared).await))),
        Query::Link { name, kind } => one(shared, name, *kind).await.map(|view| Reply::Link(Box::new(view))),
        Query::TestLink { name, kind, from } => test(shared, name, *kind, from.as_deref()).await.map(Reply::LinkTests),
        _ => return None,
    })
}

async fn list(shared: &Arc<Shared>) -> LinksView {
    let heard = ask_all(workers(shared), &LinkOrder::List, LIST_WITHIN).await;
    let kept: Vec<Link> = shared.raft.replica().with_state(|state| state.links.values().cloned().collect());
    let mut links: BTreeMap<(LinkKind, String), LinkView> = BTreeMap::new();
    for one in kept {
        links.insert((one.link.kind, one.link.name.clone()), view_of(&one));
    }
    let mut workers = Vec::new();
    for (worker, answer) in heard {
        let (listed, error) = match answer {
            Ok(LinkAnswer::Listed(listed)) => (listed, None),
            Ok(LinkAnswer::Failed(why)) | Err(why) => (ListedLinks::default(), Some(why)),
            Ok(LinkAnswer::Tested(_)) => (ListedLinks::default(), Some(say!("the answer is of another kind"))),
        };
        for link in listed.links {
            let entry = links.entry((link.kind, link.name.clone())).or_insert_with(|| LinkView {
                type_word: link.type_word,
                place: link.place,
                username: link.username,
                description: link.description,
                ..bare(link.kind, &link.name)
            });
            entry.in_files_of.push(worker.clone());
        }
        workers.push(WorkerLinksView { worker, error, faults: listed.faults });
    }
    let mut links: Vec<LinkView> = links.into_values().collect();
    let used = used(shared);
    for view in &mut links {
        let names = LinkKind::from_word(&view.kind).and_then(|kind| used.get(&(kind, view.name.clone())));
        let names: Vec<String> = names.into_iter().flatten().cloned().collect();
        view.used_by_more = names.len().saturating_sub(USED_BY_MAX) as u32;
        view.used_by = names.into_iter().take(USED_BY_MAX).collect();
    }
    LinksView { links, workers }
}

/// One that the cluster keeps, with what is written of it.
async fn one(shared: &Arc<Shared>, name: &str, kind: Option<LinkKind>) -> Result<LinkView, ApiError> {
    let known = known(shared, name, kind)?;
    let listed = list(shared).await.links;
    let is_it = |view: &LinkView| {
        let kind = known.as_ref().map(|known| known.link.kind).or(kind);
        view.name == name && kind.is_none_or(|kind| kind.word() == view.kind)
    };
    let mut view = listed.into_iter().find(is_it).ok_or_else(|| {
        ApiError::new(ErrorCode::LinkNotFound, say!("neither the cluster nor a worker has a link \"{}\"", name))
            .hint(say!("`ractorflow link list` shows them all"))
    })?;
    if let Some(known) = known {
        let text = key(shared)?.open(&known.link);
        let text = text.map_err(|error| {
            ApiError::new(ErrorCode::WrongState, say!("link \"{}\" cannot be used: {}", name, error.said()))
        })?;
        let text = kept::masked(&text);
        let properties = text.properties.into_iter().map(|(name, value)| LinkPropertyView { name, value });
        let properties = properties.collect();
        let LinkText { url, host, port, password, .. } = text;
        view.text = Some(LinkTextView { url, host, port, password, properties });
    }
    Ok(view)
}

fn bare(kind: LinkKind, name: &str) -> LinkView {
    LinkView {
        kind: kind.word().to_owned(),
        name: name.to_owned(),
        type_word: String::new(),
        place: String::new(),
        username: String::new(),
        description: String::new(),
        is_kept: false,
        in_files_of: Vec::new(),
        changed: None,
        changed_by: None,
        used_by: Vec::new(),
        used_by_more: 0,
        text: None,
    }
}

fn view_of(kept: &Link) -> LinkView {
    let KeptLink { kind, name, type_word, place, username, description, .. } = &kept.link;
    LinkView {
        type_word: type_word.clone(),
        place: place.clone(),
        username: username.clone(),
        description: description.clone(),
        is_kept: true,
        changed: Some(kept.changed.into()),
        changed_by: Some(kept.by.to_string()),
        ..bare(*kind, name)
    }
}

/// Which workflows name which link, in their newest version.
fn used(shared: &Shared) -> BTreeMap<(LinkKind, String), BTreeSet<String>> {
    // Walked beside the state's lock: there may be many.
    let versions: Vec<Arc<Version>> = shared
        .raft
        .replica()
        .with_state(|state| state.workflows.keys().filter_map(|name| state.current_version(name).cloned()).collect());
    let mut used: BTreeMap<(LinkKind, String), BTreeSet<String>> = BTreeMap::new();
    for version in versions {
        for node in &version.definition().nodes {
            if let NodeKind::Action(action) = &node.kind {
                named(&action.body.tree, &mut |kind, name| {
                    used.entry((kind, name.to_owned())).or_default().insert(version.workflow.to_string());
                });
            }
        }
    }
    used
}

fn named(element: &BodyElement<Template>, found: &mut impl FnMut(LinkKind, &str)) {
    for (attribute, kind) in ATTRIBUTES {
        if let Some(name) = element.attribute(attribute) {
            found(*kind, name.source.trim());
        }
    }
    element.children.iter().for_each(|child| named(child, found));
}

// ---- workers

fn workers(shared: &Shared) -> Vec<Peer> {
    let mut workers: Vec<Peer> =
        shared.peers().into_iter().filter(|peer| peer.role() == Role::Worker && peer.is_up()).collect();
    workers.sort_by(|a, b| a.name().cmp(b.name()));
    workers
}

async fn ask_all(
    workers: Vec<Peer>,
    order: &LinkOrder,
    within: Duration,
) -> Vec<(String, Result<LinkAnswer, Message>)> {
    join_all(workers.into_iter().map(|peer| async move {
        let name = peer.name().to_string();
        let answer = ask(&peer, order, within).await;
        (name, answer)
    }))
    .await
}

async fn ask(peer: &Peer, order: &LinkOrder, within: Duration) -> Result<LinkAnswer, Message> {
    let body = encode(order).map_err(|error| Message::verbatim(error.to_string()))?;
    match peer.call(kind::LINKS, body, within).await {
        Ok(bytes) => decode(&bytes).map_err(|error| Message::verbatim(error.to_string())),
        Err(CallError::Unsupported) => Err(say!("its version does not know links of the cluster")),
        Err(error) => Err(Message::verbatim(error.to_string())),
    }
}

async fn test(
    shared: &Arc<Shared>,
    name: &str,
    kind: Option<LinkKind>,
    from: Option<&str>,
) -> Result<Vec<LinkTestView>, ApiError> {
    let all = workers(shared);
    let asked: Vec<Peer> = match from.filter(|from| *from != "all") {
        None => all,
        Some(worker) => {
            let found: Vec<Peer> = all.into_iter().filter(|peer| **peer.name() == *worker).collect();
            if found.is_empty() {
                return Err(ApiError::new(ErrorCode::WorkerNotFound, say!("worker {} is not connected", worker))
                    .hint(say!("`ractorflow worker list` shows them all")));
            }
            found
        }
    };
    if asked.is_empty() {
        return Err(ApiError::new(ErrorCode::WrongState, say!("no worker is connected")));
    }
    let kept = shared.raft.replica().with_state(|state| {
        let kinds = LinkKind::ALL.iter().copied().filter(|one| kind.is_none_or(|kind| kind == *one));
        kinds.filter_map(|one| state.links.get(&(one, name.to_owned())).map(|kept| kept.link.clone())).collect()
    });
    let order = LinkOrder::Test(LinkTestOrder { kind, name: name.to_owned(), kept });
    let heard = ask_all(asked, &order, TEST_WITHIN).await;
    let mut views = Vec::new();
    for (worker, answer) in heard {
        match answer {
            Ok(LinkAnswer::Tested(tried)) => views.extend(tried.into_iter().map(|one| test_view(&worker, one))),
            Ok(LinkAnswer::Failed(why)) | Err(why) => views.push(untested(&worker, name, kind, why)),
            Ok(LinkAnswer::Listed(_)) => {
                views.push(untested(&worker, name, kind, say!("the answer is of another kind")));
            }
        }
    }
    Ok(views)
}

fn test_view(worker: &str, tried: Tried) -> LinkTestView {
    let (failed_at, error, hint) = match tried.failed {
        Some(failed) => (Some(failed.at.word().to_owned()), Some(failed.why), failed.hint),
        None => (None, None, None),
    };
    LinkTestView {
        kind: tried.kind.word().to_owned(),
        name: tried.name,
        from: worker.to_owned(),
        is_ok: failed_at.is_none(),
        origin: tried.origin.map(Origin::word).map(str::to_owned),
        failed_at,
        error,
        hint,
        steps: tried
            .steps
            .into_iter()
            .map(|(step, took_ms)| LinkStepView { step: step.word().to_owned(), took_ms })
            .collect(),
        took_ms: tried.took_ms,
    }
}

/// The worker itself did not answer, or could not try.
fn untested(worker: &str, name: &str, kind: Option<LinkKind>, why: Message) -> LinkTestView {
    LinkTestView {
        kind: kind.unwrap_or(LinkKind::Database).word().to_owned(),
        name: name.to_owned(),
        from: worker.to_owned(),
        is_ok: false,
        origin: None,
        failed_at: Some("worker".to_owned()),
        error: Some(why),
        hint: None,
        steps: Vec::new(),
        took_ms: 0,
    }
}

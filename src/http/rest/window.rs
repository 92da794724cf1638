//! Which nodes of an instance or a definition a request wants.

use crate::api::{ApiError, NodeOrder, NodePick, NodeWindow};
use crate::http::guard::Caller;
use crate::http::problem::bad_request;
use crate::model::message::Value;
use crate::model::state::NodeWord;
use crate::say;

/// Parameters of a window on the nodes of an instance.
pub const OF_INSTANCE: &[&str] =
    &["node_limit", "node_cursor", "node_order", "node_state", "node_begun", "node_name", "node_around"];
/// And of a definition, whose nodes have no state.
pub const OF_DEFINITION: &[&str] = &["node_limit", "node_cursor", "node_name", "node_around"];

/// Only one of `node_state`, `node_begun`, `node_name` and `node_around` says which.
pub fn node_window(caller: &Caller) -> Result<NodeWindow, ApiError> {
    let mut picks = Vec::new();
    let states = states(caller, "node_state")?;
    if !states.is_empty() {
        picks.push(NodePick::States(states));
    }
    if caller.flag("node_begun")?.unwrap_or(false) {
        picks.push(NodePick::Begun);
    }
    let names: Vec<String> = values(caller, "node_name").map(str::to_owned).collect();
    if !names.is_empty() {
        picks.push(NodePick::Named(names));
    }
    picks.extend(caller.owned("node_around").map(NodePick::Around));
    if picks.len() > 1 {
        return Err(bad_request(say!("node_state, node_begun, node_name and node_around exclude each other")));
    }
    let order = match caller.parameter("node_order") {
        None => NodeOrder::Definition,
        Some(word) => NodeOrder::from_word(word)
            .ok_or_else(|| bad_request(say!("unknown order \"{}\"", word)).hint(say!("one of definition, urgency")))?,
    };
    let window = NodeWindow::default();
    Ok(NodeWindow {
        limit: caller.number_32("node_limit")?.unwrap_or(window.limit),
        cursor: caller.owned("node_cursor"),
        pick: picks.pop().unwrap_or_default(),
        order,
        ..window
    })
}

/// States of nodes by their English or Chinese word; the parameter may be given several times or with commas.
pub fn states(caller: &Caller, name: &str) -> Result<Vec<NodeWord>, ApiError> {
    let mut states = Vec::new();
    for word in values(caller, name).flat_map(|value| value.split(',')).filter(|word| !word.is_empty()) {
        let found = NodeWord::ALL.iter().copied().find(|state| state.word() == word || state.word_zh() == word);
        states.push(found.ok_or_else(|| {
            let words: Vec<_> = NodeWord::ALL.iter().map(|state| state.word()).collect();
            bad_request(say!("unknown state \"{}\"", word)).hint(say!("one of {}", Value::list(words)))
        })?);
    }
    Ok(states)
}

fn values<'a>(caller: &'a Caller, name: &str) -> impl Iterator<Item = &'a str> {
    let of = move |(key, value): &'a (String, String)| (key == name).then_some(value.as_str());
    caller.query.iter().filter_map(of).filter(|value| !value.is_empty()).collect::<Vec<_>>().into_iter()
}

//! `/akkaflow/db-link[/{name}]` and `/akkaflow/file-link[/{name}]`: links that the cluster keeps.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use serde_json::Value;

use crate::api::change::{Hidden, LinkRequest};
use crate::api::{ApiError, Change};
use crate::http::problem::bad_request;
use crate::model::link::LinkKind;
use crate::say;

use super::{Asked, Told, answered};

pub async fn db_links(asked: Asked) -> Response {
    answered(add(LinkKind::Database, &asked).await)
}

pub async fn file_links(asked: Asked) -> Response {
    answered(add(LinkKind::File, &asked).await)
}

pub async fn db_link(Path(name): Path<String>, asked: Asked) -> Response {
    answered(act(name, LinkKind::Database, &asked).await)
}

pub async fn file_link(Path(name): Path<String>, asked: Asked) -> Response {
    answered(act(name, LinkKind::File, &asked).await)
}

async fn add(kind: LinkKind, asked: &Asked) -> Told {
    if asked.action() != "add" {
        return asked.unknown_action("add");
    }
    let name = asked.value("name").unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        return Err(bad_request(say!("{} is missing", "name")));
    }
    let request = request(kind, asked)?;
    asked.change(Change::AddLink { name: name.clone(), kind: Some(kind), request }).await?;
    Ok((say!("link {} is added", name), Some(Value::String(name))))
}

async fn act(name: String, kind: LinkKind, asked: &Asked) -> Told {
    let told = name.clone();
    match asked.action() {
        "update" => {
            let request = request(kind, asked)?;
            asked.change(Change::UpdateLink { name, kind: Some(kind), request }).await?;
            Ok((say!("link {} is updated", told), None))
        }
        "del" => {
            asked.change(Change::RemoveLink { name, kind: Some(kind) }).await?;
            Ok((say!("link {} is removed", told), None))
        }
        _ => asked.unknown_action("update, del"),
    }
}

fn request(kind: LinkKind, asked: &Asked) -> Result<LinkRequest, ApiError> {
    // An address is written into logs on its way.
    if asked.caller.query.iter().any(|(name, _)| name == "password") {
        return Err(bad_request(say!("a password is taken from a form, not from the address")));
    }
    let text = |name: &str| asked.value(name).map(str::to_owned);
    let common = LinkRequest {
        username: text("username"),
        password: text("password").map(Hidden),
        description: text("desc"),
        ..LinkRequest::default()
    };
    Ok(match kind {
        LinkKind::Database => LinkRequest {
            type_word: text("dbtype"),
            url: text("jdbcUrl"),
            properties: properties(asked.value("properties").unwrap_or_default()),
            ..common
        },
        LinkKind::File => LinkRequest { type_word: text("fstype"), host: text("host"), port: text("port"), ..common },
    })
}

/// `k=v&k=v`.
fn properties(text: &str) -> BTreeMap<String, Option<Hidden>> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim().to_owned(), Some(Hidden(value.to_owned()))));
    pairs.filter(|(name, _)| !name.is_empty()).collect()
}

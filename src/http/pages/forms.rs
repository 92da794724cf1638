//! The forms of the pages: each posts a verb and is led back to the page that shows what came of it.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use crate::api::change::{
    Changed, KillRequest, MarkAs, MarkRequest, RerunMode, RerunRequest, RerunVersion, RunRequest, TriggerRequest,
};
use crate::api::{ApiError, Change, ChangeAnswer, ChangeEnvelope, ErrorCode};
use crate::http::guard::{Caller, CheckedBody, form};
use crate::http::problem::{Failure, bad_request};
use crate::http::rest::instance_number;
use crate::http::state::App;
use crate::say;

use super::format::url;

/// The fields of a form.
pub(super) struct Fields(pub Vec<(String, String)>);

impl Fields {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// As it was typed, blank too; `None`: the form has no such field.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| bad_request(say!("the form lacks \"{}\"", name)))
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Fields `p.NAME`.
    fn params(&self) -> BTreeMap<String, String> {
        let params =
            self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix("p.")?.to_owned(), value.clone())));
        params.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn names(&self, field: &str) -> Vec<String> {
        let names = self.get(field).unwrap_or_default().split([',', '，', '、']);
        names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

pub(super) async fn send(
    app: &App,
    caller: &Caller,
    fields: &Fields,
    change: Change,
) -> Result<ChangeAnswer, ApiError> {
    let principal =
        caller.principal.clone().ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, say!("sign in first")))?;
    let idempotency_key = fields.required("key")?.to_owned();
    let reason = fields.get("reason").map(str::to_owned);
    app.client.change(ChangeEnvelope { principal, idempotency_key, reason, change }).await
}

fn back_to(path: String) -> Result<Response, Failure> {
    Ok(Redirect::to(&path).into_response())
}

pub async fn workflow(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    CheckedBody(body): CheckedBody,
) -> Result<Response, Failure> {
    let fields = Fields(form(&body));
    let workflow = name.clone();
    let change = match fields.required("verb")? {
        "trigger" => {
            let (params, skip) = (fields.params(), fields.names("skip"));
            match fields.get("scope") {
                Some("alone") => {
                    Change::Run { workflow, request: RunRequest { params, skip, ..RunRequest::default() } }
                }
                scope => {
                    let with_downstream = scope == Some("downstream");
                    let request = TriggerRequest { params, skip, with_downstream, ..TriggerRequest::default() };
                    Change::Trigger { workflow, request }
                }
            }
        }
        "enable" => Change::Enable { workflow },
        "disable" => Change::Disable { workflow },
        "reset" => Change::Reset { workflow: Some(workflow) },
        other => return Err(bad_request(say!("unknown verb \"{}\"", other)).into()),
    };
    let answer = send(&app, &caller, &fields, change).await?;
    match answer.changed {
        Changed::Instances(made) if !made.is_empty() => {
            let own = made.iter().rev().find(|one| one.workflow == name).or(made.last());
            back_to(format!("/i/{}", own.map(|one| one.number).unwrap_or_default()))
        }
        Changed::Done | Changed::Instances(_) | Changed::Applied(_) => back_to(format!("/w/{}", url(&name))),
    }
}

pub async fn instance(
    State(app): State<App>,
    caller: Caller,
    Path(instance): Path<String>,
    CheckedBody(body): CheckedBody,
) -> Result<Response, Failure> {
    let fields = Fields(form(&body));
    let number = instance_number(&instance)?;
    let instance = number;
    let change = match fields.required("verb")? {
        "kill" => Change::Kill { instance, request: KillRequest { force: fields.is_set("force"), grace: None } },
        "pause" => Change::Pause { instance },
        "resume" => Change::Resume { instance },
        "rerun" => Change::Rerun { instance, request: rerun(&fields)? },
        "mark" => Change::Mark { instance, request: mark(&fields)? },
        other => return Err(bad_request(say!("unknown verb \"{}\"", other)).into()),
    };
    send(&app, &caller, &fields, change).await?;
    back_to(format!("/i/{number}"))
}

fn rerun(fields: &Fields) -> Result<RerunRequest, ApiError> {
    let mode = match fields.required("mode")? {
        "all" => RerunMode::All,
        "from_failed" => RerunMode::FromFailed,
        "from_node" => RerunMode::FromNode,
        "only_node" => RerunMode::OnlyNode,
        other => return Err(bad_request(say!("unknown way to rerun \"{}\"", other))),
    };
    let node = match mode {
        RerunMode::FromNode | RerunMode::OnlyNode => Some(fields.required("node")?.to_owned()),
        RerunMode::All | RerunMode::FromFailed => None,
    };
    let version = if fields.get("version") == Some("same") { RerunVersion::Same } else { RerunVersion::Latest };
    Ok(RerunRequest { mode, node, version })
}

fn mark(fields: &Fields) -> Result<MarkRequest, ApiError> {
    let mark = match fields.required("as")? {
        "succeeded" => MarkAs::Succeeded,
        "skipped" => MarkAs::Skipped,
        "failed" => MarkAs::Failed,
        other => return Err(bad_request(say!("a node cannot be marked \"{}\"", other))),
    };
    Ok(MarkRequest { node: fields.required("node")?.to_owned(), mark })
}

pub async fn worker(
    State(app): State<App>,
    caller: Caller,
    Path(worker): Path<String>,
    CheckedBody(body): CheckedBody,
) -> Result<Response, Failure> {
    let fields = Fields(form(&body));
    let change = match fields.required("verb")? {
        "declare-dead" => Change::DeclareDead { worker },
        "drain" => Change::Drain { worker, off: false },
        "undrain" => Change::Drain { worker, off: true },
        other => return Err(bad_request(say!("unknown verb \"{}\"", other)).into()),
    };
    send(&app, &caller, &fields, change).await?;
    back_to("/cluster".to_owned())
}

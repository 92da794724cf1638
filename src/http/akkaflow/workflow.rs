//! `/akkaflow/workflow/{name}`, `/akkaflow/workflow` and `/akkaflow/workflows`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use serde_json::{Map, Value};

use crate::api::change::{ApplyRequest, RunRequest, TriggerRequest};
use crate::api::{ApiError, Change, Changed, DiagnosticView, ErrorItem, NodeWindow, Query};
use crate::expect_reply;
use crate::http::problem::bad_request;
use crate::say;

use super::{Asked, Told, answered, made};

/// How a definition is named that came without a path.
const PATH: &str = "akkaflow.xml";

pub async fn one(Path(name): Path<String>, asked: Asked) -> Response {
    answered(act(name, &asked).await)
}

async fn act(workflow: String, asked: &Asked) -> Told {
    let name = workflow.clone();
    match asked.action() {
        "run" => {
            let params = parameters(asked)?;
            let request = RunRequest { params, ..RunRequest::default() };
            let answer = asked.change(Change::Run { workflow, request }).await?;
            let data = made(&answer, &name);
            Ok((say!("workflow {} is started: {}", name, data.as_ref().and_then(Value::as_str).unwrap_or("-")), data))
        }
        action @ ("trigger" | "trigger-blood") => {
            let with_downstream = action == "trigger-blood";
            let request =
                TriggerRequest { with_downstream, skip: asked.list("ignore_node"), ..TriggerRequest::default() };
            let answer = asked.change(Change::Trigger { workflow, request }).await?;
            let data = made(&answer, &name);
            Ok((say!("workflow {} is triggered: {}", name, data.as_ref().and_then(Value::as_str).unwrap_or("-")), data))
        }
        "reset" => {
            asked.change(Change::Reset { workflow: Some(workflow) }).await?;
            Ok((say!("workflow {} is reset", name), None))
        }
        "del" => {
            asked.change(Change::DeleteWorkflow { workflow }).await?;
            Ok((say!("workflow {} is deleted", name), None))
        }
        "get" => {
            let answer = asked.app.ask(Query::Workflow { name, nodes: NodeWindow::default() }).await?;
            let view = expect_reply!(answer, Workflow)?;
            let said = say!("workflow {}", view.summary.name);
            Ok((said, Some(serde_json::to_value(&view).map_err(ApiError::internal)?)))
        }
        _ => asked.unknown_action("run, trigger, trigger-blood, reset, del, get"),
    }
}

/// Everything that is asked but the words of the route itself.
fn parameters(asked: &Asked) -> Result<BTreeMap<String, String>, ApiError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in asked.values.iter().filter(|(name, _)| name != "action") {
        let name = name.trim();
        if name.is_empty() {
            return Err(bad_request(say!("\"{}\" is not NAME=VALUE", format!("={value}"))));
        }
        if parameters.insert(name.to_owned(), value.clone()).is_some() {
            return Err(bad_request(say!("parameter \"{}\" is given twice", name)));
        }
    }
    Ok(parameters)
}

pub async fn text(asked: Asked) -> Response {
    answered(load(&asked).await)
}

async fn load(asked: &Asked) -> Told {
    let xml = || {
        let found = asked.value("xml").or(asked.text.as_deref()).filter(|xml| !xml.trim().is_empty());
        found
            .map(str::to_owned)
            .ok_or_else(|| bad_request(say!("\"xml\" is missing: it holds the XML of the definition")))
    };
    let path = asked.value("path").filter(|path| !path.is_empty()).unwrap_or(PATH).to_owned();
    match asked.action() {
        "add" => {
            let request = ApplyRequest { text: xml()?, path, ..ApplyRequest::default() };
            let answer = asked.change(Change::Apply { request }).await?;
            match answer.changed {
                Changed::Applied(applied) => {
                    let name = applied.workflow.name;
                    let said = if applied.version > 1 {
                        say!("workflow {} is updated", name)
                    } else {
                        say!("workflow {} is added", name)
                    };
                    Ok((said, Some(Value::String(name))))
                }
                Changed::Done | Changed::Instances(_) => Ok((say!("the definition is loaded"), None)),
            }
        }
        "check" => {
            let answer = asked.app.ask(Query::Check { path, text: xml()? }).await?;
            let view = expect_reply!(answer, Check)?;
            if view.is_valid {
                let said = match view.running_version {
                    Some(_) => say!("it would load, as a new version"),
                    None => say!("it would load"),
                };
                return Ok((said, None));
            }
            let mut error = bad_request(say!("it would not load: {} errors", view.errors));
            error.errors = view.diagnostics.iter().filter(|one| one.severity == "error").map(item).collect();
            Err(error)
        }
        // Directories are where workflows say they are.
        "del-dir" => Ok((say!("a directory without workflows is not there; nothing needs to be deleted"), None)),
        _ => asked.unknown_action("add, check, del-dir"),
    }
}

fn item(one: &DiagnosticView) -> ErrorItem {
    ErrorItem {
        code: Some(one.code.clone()),
        text: one.message.clone(),
        line: Some(one.line),
        column: Some(one.column),
        hint: one.hint.clone(),
        ..ErrorItem::default()
    }
}

pub async fn all(asked: Asked) -> Response {
    answered(match asked.action() {
        "reset" => {
            asked.change(Change::Reset { workflow: None }).await.map(|_| (say!("all workflows are reset"), None))
        }
        "today-trigger-left" => left_today(&asked).await,
        _ => asked.unknown_action("reset, today-trigger-left"),
    })
}

/// Which workflows still fire today.
async fn left_today(asked: &Asked) -> Told {
    let view = expect_reply!(asked.app.ask(Query::Today).await?, Today)?;
    let left = view.workflows.iter().filter(|row| row.left > 0);
    let left: Map<String, Value> = left.map(|row| (row.workflow.clone(), row.left.into())).collect();
    Ok((say!("what still fires today"), Some(Value::Object(left))))
}

//! `/akkaflow/workflow/instance/{id}`.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::change::{KillRequest, RerunMode, RerunRequest};
use crate::api::{ApiError, Change, InstanceRef, NodeWindow};
use crate::expect_reply;
use crate::http::rest;
use crate::model::state::InstanceWord;
use crate::say;

use super::{Asked, Told, answered};

pub async fn instance(Path(id): Path<String>, asked: Asked) -> Response {
    answered(act(&id, &asked).await)
}

async fn act(id: &str, asked: &Asked) -> Told {
    let number = rest::instance_number(id)?;
    match asked.action() {
        "rerun" => {
            // akkaflow's rerun begins anew unless it is told to keep what succeeded.
            let mode = match asked.value("recover") {
                Some("true") => RerunMode::FromFailed,
                Some(_) | None => RerunMode::All,
            };
            let request = RerunRequest { mode, ..RerunRequest::default() };
            asked.change(Change::Rerun { instance: number, request }).await?;
            Ok((say!("instance {} runs again", number), Some(Value::String(number.to_string()))))
        }
        "kill" => {
            let answer = asked.change(Change::Kill { instance: number, request: KillRequest::default() }).await?;
            let state = ended(number, answer.seq, asked).await?;
            let said = match state.is_terminal() {
                true => say!("instance {} has ended: {}", number, state),
                false => say!("instance {} is being killed", number),
            };
            Ok((said, Some(Value::String(word(state).to_owned()))))
        }
        "del" => {
            asked.change(Change::DeleteInstance { instance: number }).await?;
            Ok((say!("instance {} is deleted", number), None))
        }
        _ => asked.unknown_action("rerun, kill, del"),
    }
}

/// How it is when it has ended, or after a third of the time that a request has.
async fn ended(number: u64, seq: u64, asked: &Asked) -> Result<InstanceWord, ApiError> {
    let deadline = Instant::now() + Duration::from_millis(asked.app.options.limits.request_ms / 3);
    let nodes = NodeWindow { limit: 1, ..NodeWindow::default() };
    let answer = rest::instances::wait(&asked.app, InstanceRef::Number(number), Some(seq), nodes, deadline).await?;
    Ok(expect_reply!(answer, Instance)?.state)
}

/// akkaflow's name of a state.
fn word(state: InstanceWord) -> &'static str {
    match state {
        InstanceWord::Queued => "W_PREP",
        InstanceWord::Running => "W_RUNNING",
        InstanceWord::Paused => "W_SUSPENDED",
        InstanceWord::Succeeded => "W_SUCCESSED",
        InstanceWord::Failed => "W_FAILED",
        InstanceWord::Killed => "W_KILLED",
    }
}

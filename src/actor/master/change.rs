//! Changes asked for over the API, as commands for the engine, and the engine's answers as the API gives them.

use sha2::{Digest, Sha256};

use crate::api::change::{Applied, InstanceMade, KillRequest, MarkAs, RerunMode, RerunVersion as ApiVersion};
use crate::api::{ApiError, Change, ChangeAnswer, ChangeEnvelope, Changed, ErrorCode, ErrorItem, Time};
use crate::engine::command::{
    Command, Envelope, Rejected, Reply, RequestKey, RerunVersion, RunRequest, Thing, TriggerRequest,
};
use crate::engine::state::{Forced, RerunPlan};
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::duration::Millis;
use crate::model::id::{ContentHash, InstanceNumber, NodeName, Principal, Seq, VersionNumber, WorkerId, WorkflowName};
use crate::model::message::Message;
use crate::model::time::{CivilDate, Timestamp};
use crate::say;

use super::definitions::Definitions;
use super::links;
use super::query;
use super::shared::Shared;

pub async fn change(
    shared: &Shared,
    definitions: &Definitions,
    envelope: ChangeEnvelope,
) -> Result<ChangeAnswer, ApiError> {
    let by = Principal::from(envelope.principal.clone());
    let digest = match &envelope.change {
        // It would tell a weak password to whoever guesses it: this digest needs the cluster's secret.
        Change::AddLink { .. } | Change::UpdateLink { .. } => links::digest(shared, &envelope.change)?,
        change => digest(change),
    };
    let request = RequestKey { key: envelope.idempotency_key.clone(), digest };
    let is_repeat =
        shared.raft.replica().with_state(|state| state.requests.contains_key(&(by.clone(), request.key.clone())));
    let (command, warnings) = command(shared, definitions, envelope).await?;
    let (reply, seq) = shared
        .submit(Envelope { by, request: Some(request), command })
        .await
        .map_err(|rejected| error_of(&rejected))?;
    Ok(ChangeAnswer { seq: seq.0, is_repeat, changed: changed(shared, reply, seq, warnings) })
}

/// Binds a key to what it was used for: the same request again has the same digest.
fn digest(change: &Change) -> ContentHash {
    let body = serde_json::to_vec(change).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(change.verb().as_bytes());
    hash.update([0]);
    hash.update(&body);
    ContentHash::from(hex::encode(hash.finalize()))
}

async fn command(
    shared: &Shared,
    definitions: &Definitions,
    envelope: ChangeEnvelope,
) -> Result<(Command, Vec<Diagnostic>), ApiError> {
    let why = envelope.reason.clone();
    let said = Option::<String>::unwrap_or_default;
    let command = match envelope.change {
        Change::Run { workflow, request } => Command::Run(RunRequest {
            workflow: WorkflowName::from(workflow),
            params: request.params.into_iter().collect(),
            defaults: !request.no_defaults,
            nominal: instant(request.nominal.as_deref())?,
            business_date: date(request.business_date.as_deref())?,
            version: request.version.map(VersionNumber),
            skip: request.skip.into_iter().map(NodeName::from).collect(),
            note: why,
        }),
        Change::Trigger { workflow, request } => Command::Trigger(TriggerRequest {
            workflow: WorkflowName::from(workflow),
            params: request.params.into_iter().collect(),
            nominal: instant(request.nominal.as_deref())?,
            business_date: date(request.business_date.as_deref())?,
            trigger: None,
            skip: request.skip.into_iter().map(NodeName::from).collect(),
            with_downstream: request.with_downstream,
            note: why,
        }),
        Change::Enable { workflow } => {
            Command::EnableWorkflow { workflow: WorkflowName::from(workflow), enabled: true, why }
        }
        Change::Disable { workflow } => {
            Command::EnableWorkflow { workflow: WorkflowName::from(workflow), enabled: false, why }
        }
        Change::Reset { workflow: Some(workflow) } => Command::ResetWorkflow { workflow: WorkflowName::from(workflow) },
        Change::Reset { workflow: None } => Command::ResetAll,
        Change::Apply { request } => {
            let path = if request.path.is_empty() { "(applied)".to_owned() } else { request.path };
            let (compiled, content) = definitions.applied(path, request.text.into_bytes(), request.files).await?;
            let Some(mut bundle) = compiled.bundle else { return Err(definition_invalid(&compiled.diagnostics)) };
            if let Some(expected) = request.expect_version {
                definitions.expect_version(&bundle.definition.name, expected)?;
            }
            bundle.path = None;
            let chunks = definitions.store(&bundle).await.map_err(|rejected| error_of(&rejected))?;
            return Ok((Command::ApplyDefinition { content, chunks }, compiled.diagnostics));
        }
        Change::DeleteWorkflow { workflow } => Command::DeleteWorkflow { workflow: WorkflowName::from(workflow) },
        Change::Kill { instance, request } => {
            Command::KillInstance { instance: InstanceNumber(instance), why, grace: grace(&request)? }
        }
        Change::Pause { instance } => Command::PauseInstance { instance: InstanceNumber(instance), why },
        Change::Resume { instance } => Command::ResumeInstance { instance: InstanceNumber(instance) },
        Change::Rerun { instance, request } => {
            let node = || {
                let name = request.node.clone().filter(|name| !name.is_empty());
                name.map(NodeName::from).ok_or_else(|| {
                    ApiError::new(ErrorCode::BadRequest, say!("this kind of rerun needs the name of a node"))
                })
            };
            Command::RerunInstance {
                instance: InstanceNumber(instance),
                plan: match request.mode {
                    RerunMode::All => RerunPlan::All,
                    RerunMode::FromFailed => RerunPlan::FromFailed,
                    RerunMode::FromNode => RerunPlan::From { node: node()? },
                    RerunMode::OnlyNode => RerunPlan::Only { node: node()? },
                },
                version: match request.version {
                    ApiVersion::Same => RerunVersion::Same,
                    ApiVersion::Latest => RerunVersion::Latest,
                },
            }
        }
        Change::Mark { instance, request } => Command::MarkNode {
            instance: InstanceNumber(instance),
            node: NodeName::from(request.node),
            mark: match request.mark {
                MarkAs::Succeeded => Forced::Succeeded,
                MarkAs::Skipped => Forced::Skipped,
                MarkAs::Failed => Forced::Failed,
            },
            why: said(why),
        },
        Change::DeleteInstance { instance } => Command::DeleteInstance { instance: InstanceNumber(instance) },
        Change::DeclareDead { worker } => Command::DeclareWorkerDead { worker: WorkerId::from(worker), why: said(why) },
        Change::FinalizeUpgrade => Command::FinalizeUpgrade { announced: shared.announced_levels() },
        // Answered before, by `MasterApi::of_the_cluster`.
        Change::SwitchOver { .. } | Change::AddMember { .. } | Change::RemoveMember { .. } => {
            return Err(ApiError::new(
                ErrorCode::Internal,
                say!("a change of the members is no command of the engine"),
            ));
        }
        Change::AddLink { name, kind, request } => links::add(shared, name, kind, request)?,
        Change::UpdateLink { name, kind, request } => links::update(shared, name, kind, request)?,
        Change::RemoveLink { name, kind } => links::remove(shared, name, kind)?,
        Change::Drain { worker, off } => Command::DrainWorker { worker: WorkerId::from(worker), draining: !off },
    };
    Ok((command, Vec::new()))
}

/// What a kill gives between TERM and KILL; `None`: as configured.
fn grace(request: &KillRequest) -> Result<Option<Millis>, ApiError> {
    let wrong = |message: Message| ApiError::new(ErrorCode::BadRequest, message);
    match (request.force, request.grace.as_deref()) {
        (true, None) => Ok(Some(Millis(0))),
        (true, Some(_)) => {
            Err(wrong(say!("force is a kill without grace")).hint(say!("leave out one of force and grace")))
        }
        (false, Some(text)) => Millis::parse(text)
            .map(Some)
            .map_err(|error| wrong(say!("grace: {}", error.said())).hint(say!("write it as 30s or 1m30s, at most 1h"))),
        (false, None) => Ok(None),
    }
}

fn instant(text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match Time::parse(text) {
        Some(Time(at)) => Ok(Some(at)),
        None => Err(ApiError::new(ErrorCode::BadRequest, say!("\"{}\" is not a time", text))
            .hint(say!("write it as 2026-11-20T01:30:00+08:00"))),
    }
}

fn date(text: Option<&str>) -> Result<Option<CivilDate>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(date) => Ok(Some(CivilDate::from_chrono(date))),
        Err(_) => Err(ApiError::new(ErrorCode::BadRequest, say!("\"{}\" is not a date", text))
            .hint(say!("write it as 2026-11-20"))),
    }
}

fn definition_invalid(diagnostics: &[Diagnostic]) -> ApiError {
    let errors: Vec<ErrorItem> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| ErrorItem {
            line: Some(diagnostic.line),
            column: Some(diagnostic.column),
            code: Some(diagnostic.code.clone()),
            text: diagnostic.message.clone(),
            file: Some(diagnostic.file.clone()),
            hint: diagnostic.hint.clone(),
            ..ErrorItem::default()
        })
        .collect();
    let n = errors.len();
    let detail = say!("the definition has {} error{s}", n);
    ApiError::new(ErrorCode::DefinitionInvalid, detail).errors(errors)
}

fn changed(shared: &Shared, reply: Reply, _seq: Seq, warnings: Vec<Diagnostic>) -> Changed {
    match reply {
        Reply::Created { instance } => Changed::Instances(made(shared, instance).into_iter().collect()),
        Reply::Rerun { instance, .. } => Changed::Instances(made(shared, instance).into_iter().collect()),
        Reply::Version { workflow, version, is_new } => {
            let warnings = warnings.iter().map(crate::actor::view::workflow::diagnostic_view);
            match query::workflow_summary(shared, &workflow) {
                Some(summary) => Changed::Applied(Box::new(Applied {
                    workflow: summary,
                    version: version.0,
                    is_new,
                    warnings: warnings.collect(),
                })),
                None => Changed::Done,
            }
        }
        Reply::Done
        | Reply::Unchanged
        | Reply::Reset { .. }
        | Reply::Trimmed { .. }
        | Reply::Reporter { .. }
        | Reply::Registered { .. } => Changed::Done,
    }
}

fn made(shared: &Shared, number: InstanceNumber) -> Option<InstanceMade> {
    shared.raft.replica().with_state(|state| {
        let head = state.instances.get(&number)?;
        Some(InstanceMade {
            number: number.0,
            id: head.id.to_string(),
            workflow: head.workflow.to_string(),
            version: head.version().0,
            generation: head.generation().number.0,
        })
    })
}

/// The one place that maps the engine's refusals to the API's codes.
pub fn error_of(rejected: &Rejected) -> ApiError {
    let code = match rejected {
        Rejected::NotFound { what, .. } => match what {
            Thing::Workflow => ErrorCode::WorkflowNotFound,
            Thing::Version => ErrorCode::VersionNotFound,
            Thing::Instance => ErrorCode::InstanceNotFound,
            Thing::Node => ErrorCode::NodeNotFound,
            Thing::Worker => ErrorCode::WorkerNotFound,
            Thing::Link => ErrorCode::LinkNotFound,
            Thing::Trigger | Thing::Source => ErrorCode::NotFound,
        },
        Rejected::Conflict { .. } => ErrorCode::WrongState,
        Rejected::Invalid(_) => ErrorCode::ParameterInvalid,
        Rejected::DefinitionInvalid(_) => ErrorCode::DefinitionInvalid,
        Rejected::KeyReused => ErrorCode::KeyReused,
        Rejected::KeyExpired => ErrorCode::KeyExpired,
        Rejected::NotInThisBuild(_) => ErrorCode::NotInThisBuild,
        Rejected::DiskFull => ErrorCode::DiskFull,
        Rejected::Busy { .. } => ErrorCode::Overloaded,
        Rejected::NotLeader => ErrorCode::NoLeader,
        Rejected::StaleReport { .. } | Rejected::StaleSession | Rejected::Internal(_) => ErrorCode::Internal,
    };
    let error = ApiError::new(code, rejected.said());
    let error = match code {
        ErrorCode::Overloaded | ErrorCode::NoLeader => error.retry_after_ms(500),
        _ => error,
    };
    match rejected.hint() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_asks_for_its_grace() {
        let asked = |force, text: Option<&str>| grace(&KillRequest { force, grace: text.map(str::to_owned) });
        assert_eq!(asked(false, None).unwrap(), None);
        assert_eq!(asked(true, None).unwrap(), Some(Millis(0)));
        assert_eq!(asked(false, Some("1m30s")).unwrap(), Some(Millis::seconds(90)));
        for wrong in [asked(true, Some("5s")), asked(false, Some("soon")), asked(false, Some(""))] {
            let error = wrong.unwrap_err();
            assert_eq!(error.code, ErrorCode::BadRequest);
            assert!(error.hint.is_some(), "{error:?}");
        }
    }
}

//! Workflows, versions and load errors as readers see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::query::{TEXT_BYTES_MAX, TextPart};
use crate::api::{
    ApiError, CoordinatorView, DefinitionNodeView, DefinitionView, DiagnosticView, ErrorCode, InstanceSummary, LastRun,
    LoadErrorBrief, LoadErrorView, NextFireView, NodeWindow, ParamDeclarationView, PrerequisiteView, RelatedView,
    RunBar, SourceLine, TriggerView, VersionFileView, VersionView, WhyView, WorkflowSummary, WorkflowView, page,
};
use crate::engine::state::{FileState, SourceFile, State, Version, Workflow};
use crate::model::attachment::AttachedFile;
use crate::model::definition::{Definition, Node, NodeKind};
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::hash;
use crate::model::id::{VersionNumber, WorkflowName};
use crate::model::message::{AsValue, Message, Value};
use crate::model::parameter::ParamDeclaration;
use crate::model::policy::ActionPolicy;
use crate::model::state::InstanceWord;
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, Subject, Trigger, TriggerSource};
use crate::say;

use super::doubt::{self, Doubt};
use super::instance::{self, edge_view, time};

/// Bounds of what one answer says of a workflow beside its nodes; more is in its XML.
const DOC_BYTES_MAX: usize = 256 * 1024;
const PARAMS_BYTES_MAX: usize = 1024 * 1024;
const FILES_BYTES_MAX: usize = 256 * 1024;
const VALUE_BYTES_MAX: usize = 16 * 1024;
const DEPENDENTS_MAX: usize = 200;
/// Triggers, and prerequisites.
const COORDINATOR_MAX: usize = 500;
/// Of these in one line of a list.
const SCHEDULE_MAX: usize = 20;
const CHANGES_MAX: usize = 50;

/// A finished or live instance, as far as a sparkline needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub number: u64,
    pub state: InstanceWord,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

impl Run {
    fn duration_ms(&self) -> Option<i64> {
        Some(self.finished?.since(self.started?).max(0))
    }
}

/// Median duration of the successes among `runs`.
pub fn usual_ms(runs: &[Run]) -> Option<i64> {
    let mut durations: Vec<i64> =
        runs.iter().filter(|run| run.state == InstanceWord::Succeeded).filter_map(Run::duration_ms).collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

/// The version that new instances get.
pub fn current_version<'a>(state: &'a State, workflow: &Workflow) -> Option<&'a Version> {
    state.versions.get(&(workflow.name.clone(), workflow.current)).map(AsRef::as_ref)
}

pub fn is_enabled(workflow: &Workflow, definition: &Definition) -> bool {
    let by_file = definition.coordinator.as_ref().is_none_or(|coordinator| coordinator.is_enabled);
    let wished = workflow.enabled_override.as_ref().map_or(by_file, |enable| enable.enabled);
    wished && !workflow.is_file_absent
}

/// `runs`: the newest instances, newest first. `next`: the soonest fire.
pub fn summary(
    state: &State,
    workflow: &Workflow,
    runs: &[Run],
    next: Option<&NextFireView>,
) -> Option<WorkflowSummary> {
    let version = current_version(state, workflow)?;
    let definition = version.definition();
    let (started, live) = state.n_live(&workflow.name);
    Some(WorkflowSummary {
        name: workflow.name.to_string(),
        description: definition.description.clone(),
        owner: Some(definition.owner.clone().unwrap_or_else(|| definition.creator.clone())),
        creator: Some(definition.creator.clone()),
        dir: definition.dir.clone(),
        tags: definition.tags.clone(),
        enabled: is_enabled(workflow, definition),
        version: Some(workflow.current.0),
        file: workflow.origin.as_ref().map(|origin| origin.path.clone()),
        is_file_missing: workflow.is_file_absent,
        nodes: definition.nodes.len() as u32,
        schedule: schedule(state, definition),
        next_fire: next.map(|next| next.due),
        running: started as u32,
        queued: (live - started) as u32,
        instance_limit: definition.instance_limit,
        history: runs
            .iter()
            .take(14)
            .rev()
            .map(|run| RunBar { number: run.number, state: run.state, duration_ms: run.duration_ms() })
            .collect(),
        last: runs.first().map(|run| LastRun {
            number: run.number,
            state: run.state,
            created: run.created.into(),
            finished: time(run.finished),
        }),
        usual_ms: usual_ms(runs),
        warnings: (stored_warnings(state, workflow).count() + doubt::missing(state, definition).count()) as u32,
        load_error: file_of(state, workflow).filter(|file| file.state == FileState::Failed).map(load_error_brief),
    })
}

/// The row of a file that never loaded: it stands where the workflow would.
pub fn summary_of_failed(file: &SourceFile) -> WorkflowSummary {
    WorkflowSummary {
        name: file.path.clone(),
        description: None,
        owner: None,
        creator: None,
        dir: "/".to_owned(),
        tags: Vec::new(),
        enabled: false,
        version: None,
        file: Some(file.path.clone()),
        is_file_missing: false,
        nodes: 0,
        schedule: Vec::new(),
        next_fire: None,
        running: 0,
        queued: 0,
        instance_limit: 0,
        history: Vec::new(),
        last: None,
        usual_ms: None,
        load_error: Some(load_error_brief(file)),
        warnings: 0,
    }
}

/// What was found when the file of the version that runs was loaded.
fn stored_warnings<'a>(state: &'a State, workflow: &'a Workflow) -> impl Iterator<Item = &'a Diagnostic> {
    let origin = workflow.origin.as_ref();
    let file = origin.and_then(|origin| state.files.get(&(origin.source.clone(), origin.path.clone())));
    let current = FileState::Loaded { version: workflow.current };
    file.filter(|file| file.state == current).into_iter().flat_map(|file| &file.diagnostics)
}

pub fn has_load_error(state: &State, workflow: &Workflow) -> bool {
    file_of(state, workflow).is_some_and(|file| file.state == FileState::Failed)
}

/// Workflows that run with warnings, as `load_errors` shows them; what missing prerequisites say comes later.
pub fn doubtful<'a>(state: &'a State) -> impl Iterator<Item = (LoadErrorView, Option<Doubt>)> + 'a {
    state.workflows.values().filter(|workflow| workflow.removed.is_none()).filter_map(|workflow| {
        let version = current_version(state, workflow)?;
        let diagnostics: Vec<_> = stored_warnings(state, workflow).map(diagnostic_view).collect();
        let doubt = doubt::doubt(state, workflow);
        if diagnostics.is_empty() && doubt.is_none() {
            return None;
        }
        let origin = workflow.origin.as_ref();
        let (source, path) = origin.map_or_else(
            || (String::new(), workflow.name.to_string()),
            |origin| (origin.source.to_string(), origin.path.clone()),
        );
        let view = LoadErrorView {
            id: error_id(&source, &path),
            path,
            source,
            workflow: Some(workflow.name.to_string()),
            hash: version.content.to_string(),
            since: version.added.into(),
            running_version: Some(workflow.current.0),
            is_loaded: true,
            diagnostics,
        };
        Some((view, doubt))
    })
}

/// Files that do not load and belong to no workflow yet.
pub fn orphan_errors(state: &State) -> impl Iterator<Item = &SourceFile> {
    failed_files(state).filter(|file| {
        file.workflow.as_ref().and_then(|name| state.workflows.get(name)).is_none_or(|known| known.removed.is_some())
    })
}

pub fn failed_files(state: &State) -> impl Iterator<Item = &SourceFile> {
    state
        .files
        .values()
        .filter(|file| matches!(file.state, FileState::Failed | FileState::Duplicate { .. }) && file.missing.is_none())
}

fn file_of<'a>(state: &'a State, workflow: &Workflow) -> Option<&'a SourceFile> {
    state.files_of(&workflow.name).max_by_key(|file| file.state == FileState::Failed)
}

/// What `Query::Workflow` shows beside the state.
pub struct Extras {
    pub runs: Vec<Run>,
    pub instances: Vec<InstanceSummary>,
    pub next_fires: Vec<NextFireView>,
    pub versions: Vec<VersionView>,
    pub why: Option<WhyView>,
    pub left_today: u32,
    /// The master that answers has a mail server.
    pub is_mail_on: bool,
}

/// `None` when the workflow has no version.
pub fn view(
    state: &State,
    workflow: &Workflow,
    extras: Extras,
    window: &NodeWindow,
) -> Option<Result<WorkflowView, ApiError>> {
    let version = current_version(state, workflow)?;
    let definition = version.definition();
    let summary = summary(state, workflow, &extras.runs, extras.next_fires.first())?;
    let choice = match instance::outline(definition).choose(window) {
        Ok(choice) => choice,
        Err(error) => return Some(Err(error)),
    };
    let filled = choice.fill(|at| node(definition, at), |at| edge_view(definition, &definition.edges[at]));
    let next = |trigger: &str| extras.next_fires.iter().find(|fire| fire.trigger == trigger).map(|fire| fire.nominal);
    let mut cut = Vec::new();
    let mut say = |is_cut: bool, field: &str| cut.extend(is_cut.then(|| field.to_owned()));
    let mut doc = definition.doc.clone();
    say(doc.as_mut().is_some_and(|doc| page::cut_text(doc, DOC_BYTES_MAX)), "doc");
    let mut params: Vec<ParamDeclarationView> = definition.params.iter().map(declaration).collect();
    say(page::fit(&mut params, PARAMS_BYTES_MAX), "params");
    let (files, is_cut) = version_files(version);
    say(is_cut, "files");
    let mut dependents: Vec<String> = dependents(state, &workflow.name).take(DEPENDENTS_MAX + 1).collect();
    say(dependents.len() > DEPENDENTS_MAX, "dependents");
    dependents.truncate(DEPENDENTS_MAX);
    let is_long = |coordinator: &Coordinator| {
        coordinator.triggers.len() > COORDINATOR_MAX || coordinator.prerequisites.len() > COORDINATOR_MAX
    };
    say(definition.coordinator.as_ref().is_some_and(is_long), "coordinator");
    Some(Ok(WorkflowView {
        summary,
        doc,
        zone: Some(zone_of(state, definition)),
        is_strict: definition.is_strict,
        mail_receivers: definition.mail_receivers.clone(),
        mail_levels: definition.mail_levels.iter().map(|level| level.word().to_owned()).collect(),
        mail_note: mails_nothing(definition, extras.is_mail_on),
        params,
        nodes: filled.nodes,
        edges: filled.edges,
        nodes_next: filled.next.map(|next| next.to_string()),
        nodes_total: definition.nodes.len() as u32,
        left_out: choice.left_out,
        cut,
        coordinator: definition.coordinator.as_ref().map(|coordinator| CoordinatorView {
            is_enabled: is_enabled(workflow, definition),
            from: time(coordinator.window.from),
            to: time(coordinator.window.to),
            triggers: coordinator
                .triggers
                .iter()
                .take(COORDINATOR_MAX)
                .map(|trigger| TriggerView {
                    id: trigger.id.to_string(),
                    kind: source_kind(&trigger.source).to_owned(),
                    text: source_text(&trigger.source).english(),
                    zone: trigger.zone.as_ref().map_or_else(|| zone_of(state, definition), |zone| zone.to_string()),
                    next: next(trigger.id.as_str()),
                })
                .collect(),
            prerequisites: coordinator
                .prerequisites
                .iter()
                .take(COORDINATOR_MAX)
                .map(|prerequisite| prerequisite_view(state, &workflow.name, &prerequisite.workflow))
                .collect(),
            overlap: coordinator.overlap.word().to_owned(),
            misfire: coordinator.misfire.policy.word().to_owned(),
        }),
        left_today: extras.left_today,
        next_fires: extras.next_fires,
        versions: extras.versions,
        files,
        instances: extras.instances,
        dependents,
        load_error: file_of(state, workflow)
            .filter(|file| file.state == FileState::Failed)
            .map(|file| load_error(state, file)),
        warnings: stored_warnings(state, workflow).map(diagnostic_view).collect(),
        why: extras.why,
    }))
}

/// It names receivers, and nothing is sent to them.
fn mails_nothing(definition: &Definition, is_mail_on: bool) -> Option<Message> {
    let wants = !definition.mail_receivers.is_empty() && !definition.mail_levels.is_empty();
    (wants && !is_mail_on).then(|| say!("nobody is mailed: host and from of [mail] in ractorflow.toml are not set"))
}

/// One version with a part of its text and a window on its nodes.
pub fn definition_view(
    version: &Version,
    is_current: bool,
    part: TextPart,
    window: &NodeWindow,
) -> Result<DefinitionView, ApiError> {
    let definition = version.definition();
    let choice = instance::outline(definition).choose(window)?;
    let filled = choice.fill(|at| node(definition, at), |at| edge_view(definition, &definition.edges[at]));
    let whole = version.bundle.text.as_str();
    let from = usize::try_from(part.from).ok().filter(|from| whole.is_char_boundary(*from)).ok_or_else(|| {
        ApiError::new(ErrorCode::BadRequest, say!("no character of the text begins at byte {}", part.from))
    })?;
    let text = piece(&whole[from..], part.bytes.clamp(1, TEXT_BYTES_MAX) as usize);
    let end = from + text.len();
    Ok(DefinitionView {
        version: version_view(version, is_current, None),
        text: text.to_owned(),
        line: 1 + whole[..from].bytes().filter(|byte| *byte == b'\n').count() as u32,
        text_next: (end < whole.len()).then_some(end as u64),
        text_bytes: whole.len() as u64,
        files: version_files(version).0,
        nodes: filled.nodes,
        edges: filled.edges,
        nodes_next: filled.next.map(|next| next.to_string()),
    })
}

/// The beginning of a text: whole lines where there are any, always at least one character.
fn piece(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (1..=bytes_max).rev().find(fits).or_else(|| (bytes_max..=text.len()).find(fits)).unwrap_or(text.len());
    let line = text[..end].rfind('\n').map(|at| at + 1);
    &text[..line.unwrap_or(end)]
}

pub fn prerequisite_view(state: &State, workflow: &WorkflowName, on: &WorkflowName) -> PrerequisiteView {
    let latch = state.latches.get(&(workflow.clone(), Subject::Workflow(on.clone())));
    PrerequisiteView {
        workflow: on.to_string(),
        is_set: latch.is_some(),
        since: time(latch.map(|latch| latch.set)),
        is_missing: state.workflows.get(on).is_none_or(|known| known.removed.is_some()),
    }
}

fn dependents<'a>(state: &'a State, name: &'a WorkflowName) -> impl Iterator<Item = String> + 'a {
    let live = state.dependants(name).filter(|other| state.workflow(other).is_some());
    live.map(|other| other.to_string())
}

/// Newest first.
pub fn versions<'a>(state: &'a State, name: &'a WorkflowName) -> impl Iterator<Item = &'a Arc<Version>> + 'a {
    let of = |number: u32| (name.clone(), VersionNumber(number));
    state.versions.range(of(0)..=of(u32::MAX)).rev().map(|(_, version)| version)
}

/// The newest ones as they are shown, each with what differs from the one before it. `known` is newest first.
pub fn version_views(known: &[Arc<Version>], current: VersionNumber, count: usize) -> Vec<VersionView> {
    let views = known.iter().enumerate().take(count);
    let view = |(at, version): (usize, &Arc<Version>)| {
        version_view(version, version.number == current, known.get(at + 1).map(AsRef::as_ref))
    };
    views.map(view).collect()
}

fn version_view(version: &Version, is_current: bool, before: Option<&Version>) -> VersionView {
    VersionView {
        workflow: version.workflow.to_string(),
        version: version.number.0,
        hash: version.content.to_string(),
        added: version.added.into(),
        by: version.by.to_string(),
        file: version.bundle.path.clone(),
        nodes: version.definition().nodes.len() as u32,
        is_current,
        changes: before.map(|before| version_changes(before, version)).unwrap_or_default(),
    }
}

/// Those that travel with it, and whether they are not all.
fn version_files(version: &Version) -> (Vec<VersionFileView>, bool) {
    let view = |file: &AttachedFile| VersionFileView {
        node: version.definition().node(file.node).name.to_string(),
        path: file.path.clone(),
        bytes: file.bytes,
        hash: file.hash.to_string(),
    };
    let mut files = version.bundle.files.iter().map(view).collect();
    let is_cut = page::fit(&mut files, FILES_BYTES_MAX);
    (files, is_cut)
}

fn version_changes(before: &Version, after: &Version) -> Vec<Message> {
    let mut changes = changes(before.definition(), after.definition());
    changes.extend(file_changes(&before.bundle.files, &after.bundle.files));
    changes
}

/// The files that have another content, are new, or are not named any more.
fn file_changes(before: &[AttachedFile], after: &[AttachedFile]) -> Option<Message> {
    let contents = |files: &[AttachedFile]| -> BTreeMap<String, String> {
        files.iter().map(|file| (file.path.clone(), file.hash.to_string())).collect()
    };
    let (old, new) = (contents(before), contents(after));
    let mut changed: Vec<&str> =
        old.iter().filter(|(path, hash)| new.get(*path) != Some(hash)).map(|(path, _)| path.as_str()).collect();
    changed.extend(new.keys().filter(|path| !old.contains_key(*path)).map(String::as_str));
    changed.sort_unstable();
    (!changed.is_empty()).then(|| say!("files changed: {}", Value::list(changed)))
}

/// What differs, in words: nodes by name, and the schedule.
fn changes(before: &Definition, after: &Definition) -> Vec<Message> {
    fn by_name(definition: &Definition) -> BTreeMap<&str, &Node> {
        definition.nodes.iter().map(|node| (node.name.as_str(), node)).collect()
    }
    let (old, new) = (by_name(before), by_name(after));
    let changed = |node: &Node| match old.get(node.name.as_str()) {
        None => Some(say!("node {} added", node.name)),
        Some(old) if old.kind != node.kind => Some(say!("node {} changed", node.name)),
        Some(_) => None,
    };
    let gone = before.nodes.iter().filter(|node| !new.contains_key(node.name.as_str()));
    let nodes = after.nodes.iter().filter_map(changed).chain(gone.map(|node| say!("node {} removed", node.name)));
    let mut changes: Vec<Message> = Vec::new();
    let mut n_more = 0;
    for change in nodes {
        if changes.len() < CHANGES_MAX { changes.push(change) } else { n_more += 1 }
    }
    if n_more > 0 {
        changes.push(say!("{} more node{s}", n_more));
    }
    if before.coordinator != after.coordinator {
        changes.push(say!("schedule changed"));
    }
    if before.params != after.params {
        changes.push(say!("parameters changed"));
    }
    changes
}

fn node(definition: &Definition, at: usize) -> DefinitionNodeView {
    let node = &definition.nodes[at];
    DefinitionNodeView {
        name: node.name.to_string(),
        kind: node.kind.word().to_owned(),
        description: node.description.clone(),
        line: node.line,
        is_built: !matches!(&node.kind, NodeKind::Action(action) if !action.body.is_built),
        policies: match &node.kind {
            NodeKind::Action(action) => policies(&action.policy),
            NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. } => Vec::new(),
        },
    }
}

/// Those that differ from the default, as they would be written.
fn policies(policy: &ActionPolicy) -> Vec<String> {
    let default = ActionPolicy::default();
    let mut words = Vec::new();
    let mut say = |is_default: bool, word: String| {
        if !is_default {
            words.push(word);
        }
    };
    say(policy.host.is_none(), format!("host={}", policy.host.as_deref().unwrap_or("-1")));
    say(policy.workers.is_empty(), format!("workers={}", policy.workers.join(",")));
    say(!policy.is_ignore, "is-ignore=true".to_owned());
    say(policy.retry.times == 0, format!("retry-times={}", policy.retry.times));
    say(policy.retry.times == 0, format!("interval={}", policy.retry.interval));
    let text =
        |limit: Option<crate::model::duration::Millis>| limit.map_or_else(String::new, |limit| limit.to_string());
    say(policy.timeout.is_none(), format!("timeout={}", text(policy.timeout)));
    say(policy.attempt_timeout.is_none(), format!("attempt-timeout={}", text(policy.attempt_timeout)));
    say(policy.on_lost == default.on_lost, format!("on-lost={}", policy.on_lost.word()));
    say(policy.slots == 1, format!("slots={}", policy.slots));
    words
}

fn declaration(param: &ParamDeclaration) -> ParamDeclarationView {
    ParamDeclarationView {
        name: param.name.clone(),
        kind: param.kind.word().to_owned(),
        value: param.value.as_ref().map(|value| cut(&value.source)),
        rendered: None,
        required: param.required,
        external: param.external,
        choices: param.choices.clone(),
        label: param.label.clone(),
        description: param.description.clone(),
    }
}

fn cut(text: &str) -> String {
    let mut text = text.to_owned();
    page::cut_text(&mut text, VALUE_BYTES_MAX);
    text
}

fn zone_of(state: &State, definition: &Definition) -> String {
    definition.zone.as_ref().unwrap_or(&state.cluster.zone).to_string()
}

fn schedule(state: &State, definition: &Definition) -> Vec<Message> {
    let Some(coordinator) = &definition.coordinator else { return Vec::new() };
    let zone =
        |trigger: &Trigger| trigger.zone.as_ref().map_or_else(|| zone_of(state, definition), |zone| zone.to_string());
    let mut lines: Vec<Message> = coordinator
        .triggers
        .iter()
        .take(SCHEDULE_MAX)
        .map(|trigger| say!("{} ({})", source_text(&trigger.source), zone(trigger)))
        .collect();
    let more = |n: usize| n.checked_sub(SCHEDULE_MAX).filter(|more| *more > 0);
    lines.extend(more(coordinator.triggers.len()).map(|more| say!("{} more", more)));
    let on = coordinator.prerequisites.iter().take(SCHEDULE_MAX).map(|on| on.workflow.as_value());
    let more = more(coordinator.prerequisites.len()).map(|more| say!("{} more", more).as_value());
    let on: Vec<Value> = on.chain(more).collect();
    if !on.is_empty() {
        lines.push(say!("after {}", Value::List(on)));
    }
    lines
}

fn source_kind(source: &TriggerSource) -> &'static str {
    match source {
        TriggerSource::Cron { .. } => "cron",
        TriggerSource::Every { .. } => "every",
        TriggerSource::At { .. } => "at",
    }
}

fn source_text(source: &TriggerSource) -> Message {
    match source {
        TriggerSource::Cron { cron, seconds } if seconds == &[0] => Message::verbatim(&cron.source),
        TriggerSource::Cron { cron, seconds } => {
            let seconds: Vec<String> = seconds.iter().map(u32::to_string).collect();
            say!("{} seconds {}", cron.source, seconds.join(","))
        }
        TriggerSource::Every { period, .. } => say!("every {}", period.to_string()),
        TriggerSource::At { at, .. } => say!("once at {}", at.to_string()),
    }
}

/// Names a broken file in URLs.
pub fn load_error_id(file: &SourceFile) -> String {
    error_id(file.source.as_str(), &file.path)
}

fn error_id(source: &str, path: &str) -> String {
    format!("{:016x}", hash::fixed(&[source.as_bytes(), path.as_bytes()]))
}

fn load_error_brief(file: &SourceFile) -> LoadErrorBrief {
    let first = file.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
    LoadErrorBrief {
        id: load_error_id(file),
        text: first.map_or_else(|| file_problem(file), |first| first.message.clone()),
        line: first.map(|first| first.line),
        column: first.map(|first| first.column),
        errors: file.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count() as u32,
        since: file.seen.into(),
    }
}

fn file_problem(file: &SourceFile) -> Message {
    match &file.state {
        FileState::Duplicate { other } => say!("defines the same workflow as {}", other),
        FileState::Failed => say!("does not load"),
        FileState::Differs => say!("differs from the version that runs; `ractorflow workflow apply` makes it run"),
        FileState::Dismissed => say!("was deleted by an operator"),
        FileState::Loaded { .. } => Message::verbatim(""),
    }
}

pub fn load_error(state: &State, file: &SourceFile) -> LoadErrorView {
    let running =
        file.workflow.as_ref().and_then(|name| state.workflows.get(name)).filter(|known| known.removed.is_none());
    LoadErrorView {
        id: load_error_id(file),
        path: file.path.clone(),
        source: file.source.to_string(),
        workflow: file.workflow.as_ref().map(|name| name.to_string()),
        hash: file.content.to_string(),
        since: file.seen.into(),
        running_version: running.map(|workflow| workflow.current.0),
        is_loaded: false,
        diagnostics: match &file.state {
            FileState::Duplicate { .. } => vec![duplicate(file)],
            FileState::Loaded { .. } | FileState::Failed | FileState::Differs | FileState::Dismissed => {
                file.diagnostics.iter().map(diagnostic_view).collect()
            }
        },
    }
}

fn duplicate(file: &SourceFile) -> DiagnosticView {
    diagnostic_view(&Diagnostic {
        code: "RF-W0210".to_owned(),
        severity: Severity::Error,
        file: file.path.clone(),
        line: 1,
        column: 1,
        length: 1,
        message: file_problem(file),
        label: None,
        hint: Some(say!("rename one of the two workflows, or remove one of the files")),
        notes: Vec::new(),
        excerpt: Vec::new(),
    })
}

pub fn diagnostic_view(diagnostic: &Diagnostic) -> DiagnosticView {
    DiagnosticView {
        severity: diagnostic.severity.word().to_owned(),
        code: diagnostic.code.clone(),
        message: diagnostic.message.clone(),
        path: diagnostic.file.clone(),
        line: diagnostic.line,
        column: diagnostic.column,
        end_line: diagnostic.line,
        end_column: diagnostic.column + diagnostic.length,
        label: diagnostic.label.clone(),
        hint: diagnostic.hint.clone(),
        related: diagnostic
            .notes
            .iter()
            .map(|note| RelatedView { line: diagnostic.line, column: diagnostic.column, text: note.clone() })
            .collect(),
        source: diagnostic.excerpt.iter().map(|line| SourceLine { n: line.number, text: line.text.clone() }).collect(),
        suggestion: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeIndex;

    #[test]
    fn a_version_says_which_of_its_files_are_others_than_before() {
        let file = |path: &str, hash: &str| AttachedFile {
            node: NodeIndex(1),
            path: path.to_owned(),
            hash: hash.into(),
            bytes: 1,
        };
        let before = [file("same", "1"), file("edited", "1"), file("gone", "1")];
        let after = [file("same", "1"), file("edited", "2"), file("new", "1")];
        assert_eq!(file_changes(&before, &after).unwrap().english(), "files changed: edited, gone, new");
        assert_eq!(file_changes(&before, &before), None);
    }

    #[test]
    fn a_text_is_cut_at_line_ends_and_never_inside_a_character() {
        assert_eq!(piece("a\nb\nc", 100), "a\nb\nc");
        assert_eq!(piece("a\nb\nccc", 5), "a\nb\n");
        assert_eq!(piece("日报日报", 7), "日报");
        assert_eq!(piece("日报", 1), "日", "at least one character");
        let text = "日报\n".repeat(1_000) + &"长".repeat(1_000);
        for bytes_max in [1, 2, 3, 10, 999] {
            let (mut at, mut whole) = (0, String::new());
            while at < text.len() {
                let next = piece(&text[at..], bytes_max);
                whole.push_str(next);
                at += next.len();
            }
            assert_eq!(whole, text, "by {bytes_max}");
        }
    }
}

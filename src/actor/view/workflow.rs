//! Workflows, versions and load errors as readers see them.

use crate::api::{
    CoordinatorView, DefinitionNodeView, DiagnosticView, InstanceSummary, LastRun, LoadErrorBrief, LoadErrorView,
    NextFireView, ParamDeclarationView, PrerequisiteView, RelatedView, RunBar, SourceLine, TriggerView, VersionView,
    WhyView, WorkflowSummary, WorkflowView,
};
use crate::engine::state::{FileState, SourceFile, State, Version, Workflow};
use crate::model::definition::{Definition, NodeKind};
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::hash;
use crate::model::id::WorkflowName;
use crate::model::parameter::ParamDeclaration;
use crate::model::policy::ActionPolicy;
use crate::model::state::InstanceWord;
use crate::model::time::Timestamp;
use crate::model::trigger::{Subject, Trigger, TriggerSource};

use super::doubt::{self, Doubt};
use super::instance::{edge_view, time};

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
    let live = |started: bool| {
        state
            .instances
            .values()
            .filter(|head| head.workflow == workflow.name && !head.is_terminal() && head.is_started() == started)
            .count() as u32
    };
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
        running: live(true),
        queued: live(false),
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
    state
        .files
        .values()
        .filter(|file| file.workflow.as_ref() == Some(&workflow.name))
        .max_by_key(|file| file.state == FileState::Failed)
}

/// What `Query::Workflow` shows beside the state.
pub struct Extras {
    pub runs: Vec<Run>,
    pub instances: Vec<InstanceSummary>,
    pub next_fires: Vec<NextFireView>,
    pub why: Option<WhyView>,
}

pub fn view(state: &State, workflow: &Workflow, extras: Extras) -> Option<WorkflowView> {
    let version = current_version(state, workflow)?;
    let definition = version.definition();
    let summary = summary(state, workflow, &extras.runs, extras.next_fires.first())?;
    let next = |trigger: &str| extras.next_fires.iter().find(|fire| fire.trigger == trigger).map(|fire| fire.nominal);
    Some(WorkflowView {
        summary,
        doc: definition.doc.clone(),
        zone: Some(zone_of(state, definition)),
        is_strict: definition.is_strict,
        mail_receivers: definition.mail_receivers.clone(),
        params: definition.params.iter().map(declaration).collect(),
        nodes: nodes(definition),
        edges: definition.edges.iter().map(|edge| edge_view(definition, edge)).collect(),
        coordinator: definition.coordinator.as_ref().map(|coordinator| CoordinatorView {
            is_enabled: is_enabled(workflow, definition),
            from: time(coordinator.window.from),
            to: time(coordinator.window.to),
            triggers: coordinator
                .triggers
                .iter()
                .map(|trigger| TriggerView {
                    id: trigger.id.to_string(),
                    kind: source_kind(&trigger.source).to_owned(),
                    text: source_text(&trigger.source),
                    zone: trigger.zone.as_ref().map_or_else(|| zone_of(state, definition), |zone| zone.to_string()),
                    next: next(trigger.id.as_str()),
                })
                .collect(),
            prerequisites: coordinator
                .prerequisites
                .iter()
                .map(|prerequisite| prerequisite_view(state, &workflow.name, &prerequisite.workflow))
                .collect(),
            overlap: coordinator.overlap.word().to_owned(),
            misfire: coordinator.misfire.policy.word().to_owned(),
        }),
        next_fires: extras.next_fires,
        versions: versions(state, &workflow.name).take(10).collect(),
        instances: extras.instances,
        dependents: dependents(state, &workflow.name),
        load_error: file_of(state, workflow)
            .filter(|file| file.state == FileState::Failed)
            .map(|file| load_error(state, file)),
        warnings: stored_warnings(state, workflow).map(diagnostic_view).collect(),
        why: extras.why,
    })
}

fn prerequisite_view(state: &State, workflow: &WorkflowName, on: &WorkflowName) -> PrerequisiteView {
    let latch = state.latches.get(&(workflow.clone(), Subject::Workflow(on.clone())));
    PrerequisiteView {
        workflow: on.to_string(),
        is_set: latch.is_some(),
        since: time(latch.map(|latch| latch.set)),
        is_missing: state.workflows.get(on).is_none_or(|known| known.removed.is_some()),
    }
}

fn dependents(state: &State, name: &WorkflowName) -> Vec<String> {
    state
        .workflows
        .values()
        .filter(|other| other.removed.is_none())
        .filter(|other| {
            current_version(state, other)
                .and_then(|version| version.definition().coordinator.as_ref())
                .is_some_and(|coordinator| coordinator.prerequisites.iter().any(|on| on.workflow == *name))
        })
        .map(|other| other.name.to_string())
        .collect()
}

/// Newest first.
pub fn versions<'a>(state: &'a State, name: &'a WorkflowName) -> impl Iterator<Item = VersionView> + 'a {
    let current = state.workflows.get(name).map(|workflow| workflow.current);
    state
        .versions
        .range((name.clone(), crate::model::id::VersionNumber(0))..)
        .take_while(move |((of, _), _)| of == name)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(move |((_, number), version)| {
            let before = number.0.checked_sub(1).map(crate::model::id::VersionNumber);
            let before = before.and_then(|before| state.versions.get(&(name.clone(), before)));
            version_view(version, current == Some(*number), before.map(AsRef::as_ref))
        })
}

pub fn version_view(version: &Version, is_current: bool, before: Option<&Version>) -> VersionView {
    VersionView {
        workflow: version.workflow.to_string(),
        version: version.number.0,
        hash: version.content.to_string(),
        added: version.added.into(),
        by: version.by.to_string(),
        file: version.bundle.path.clone(),
        nodes: version.definition().nodes.len() as u32,
        is_current,
        changes: before.map(|before| changes(before.definition(), version.definition())).unwrap_or_default(),
    }
}

/// What differs, in words: nodes by name, and the schedule.
fn changes(before: &Definition, after: &Definition) -> Vec<String> {
    let mut changes = Vec::new();
    for node in &after.nodes {
        match before.nodes.iter().find(|old| old.name == node.name) {
            None => changes.push(format!("node {} added", node.name)),
            Some(old) if old.kind != node.kind => changes.push(format!("node {} changed", node.name)),
            Some(_) => {}
        }
    }
    let is_gone = |old: &&crate::model::definition::Node| !after.nodes.iter().any(|node| node.name == old.name);
    changes.extend(before.nodes.iter().filter(is_gone).map(|old| format!("node {} removed", old.name)));
    if before.coordinator != after.coordinator {
        changes.push("schedule changed".to_owned());
    }
    if before.params != after.params {
        changes.push("parameters changed".to_owned());
    }
    changes
}

pub fn nodes(definition: &Definition) -> Vec<DefinitionNodeView> {
    definition
        .nodes
        .iter()
        .map(|node| DefinitionNodeView {
            name: node.name.to_string(),
            kind: node.kind.word().to_owned(),
            description: node.description.clone(),
            line: node.line,
            is_built: !matches!(&node.kind, NodeKind::Action(action) if !action.body.is_built),
            policies: match &node.kind {
                NodeKind::Action(action) => policies(&action.policy),
                NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. } => Vec::new(),
            },
        })
        .collect()
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
        value: param.value.as_ref().map(|value| value.source.clone()),
        rendered: None,
        required: param.required,
        external: param.external,
        choices: param.choices.clone(),
        label: param.label.clone(),
        description: param.description.clone(),
    }
}

fn zone_of(state: &State, definition: &Definition) -> String {
    definition.zone.as_ref().unwrap_or(&state.cluster.zone).to_string()
}

fn schedule(state: &State, definition: &Definition) -> Vec<String> {
    let Some(coordinator) = &definition.coordinator else { return Vec::new() };
    let zone =
        |trigger: &Trigger| trigger.zone.as_ref().map_or_else(|| zone_of(state, definition), |zone| zone.to_string());
    let mut lines: Vec<String> = coordinator
        .triggers
        .iter()
        .map(|trigger| format!("{} ({})", source_text(&trigger.source), zone(trigger)))
        .collect();
    let on: Vec<&str> = coordinator.prerequisites.iter().map(|on| on.workflow.as_str()).collect();
    if !on.is_empty() {
        lines.push(format!("after {}", on.join(", ")));
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

fn source_text(source: &TriggerSource) -> String {
    match source {
        TriggerSource::Cron { cron, seconds } if seconds == &[0] => cron.source.clone(),
        TriggerSource::Cron { cron, seconds } => {
            let seconds: Vec<String> = seconds.iter().map(u32::to_string).collect();
            format!("{} seconds {}", cron.source, seconds.join(","))
        }
        TriggerSource::Every { period, .. } => format!("every {period}"),
        TriggerSource::At { at, .. } => format!("at {at}"),
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

fn file_problem(file: &SourceFile) -> String {
    match &file.state {
        FileState::Duplicate { other } => format!("defines the same workflow as {other}"),
        FileState::Failed => "does not load".to_owned(),
        FileState::Differs => "differs from the version that runs; `workflow apply` it".to_owned(),
        FileState::Dismissed => "was deleted by an operator".to_owned(),
        FileState::Loaded { .. } => String::new(),
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
        title_zh: "工作流重名".to_owned(),
        label: None,
        hint: Some("rename one of the two workflows, or remove one of the files".to_owned()),
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

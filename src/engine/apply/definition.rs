//! Events of chunks, definitions, sources and files.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::id::{Boot, ContentHash, MasterId, Principal, SourceId, VersionNumber, WorkflowName};
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, Trigger};

use super::super::definition::unpack;
use super::super::state::{
    AggregateKey, Chunk, Diagnostic, EnableOverride, FileState, Graph, Origin, Source, SourceFile, State, TriggerState,
    Version, Workflow,
};
use super::Illegal;

impl State {
    pub(super) fn chunk_stored(&mut self, hash: &ContentHash, bytes: &[u8], at: Timestamp) {
        let chunk = Chunk { hash: hash.clone(), bytes: bytes.to_vec(), stored: at };
        self.derived.chunk(&chunk, true);
        if let Some(old) = self.chunks.insert(hash.clone(), chunk) {
            if old.stored != at {
                self.derived.chunk(&old, false);
            }
        }
        self.touch(AggregateKey::Chunk(hash.clone()));
    }

    pub(super) fn chunks_trimmed(&mut self, hashes: &[ContentHash]) {
        for hash in hashes {
            if let Some(chunk) = self.chunks.remove(hash) {
                self.derived.chunk(&chunk, false);
                self.touch(AggregateKey::Chunk(hash.clone()));
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the fields of one event
    pub(super) fn definition_added(
        &mut self,
        name: &WorkflowName,
        number: VersionNumber,
        content: &ContentHash,
        chunks: &[ContentHash],
        origin: Option<&Origin>,
        by: &Principal,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let bundle = unpack(&self.chunks, chunks).map_err(|fault| Illegal::new(fault.to_string()))?;
        if bundle.definition.name != *name {
            return Err(Illegal::new(format!("the bundle is of {}, not of {name}", bundle.definition.name)));
        }
        let last = self.workflows.get(name).map_or(VersionNumber(0), |workflow| workflow.current);
        if number != last.next() {
            return Err(Illegal::new(format!("version {number} of {name} does not follow {last}")));
        }
        let old = self.current_version(name).cloned();
        let version = Arc::new(Version {
            workflow: name.clone(),
            number,
            content: content.clone(),
            bundle: Arc::new(bundle),
            origin: origin.cloned(),
            added: at,
            by: by.clone(),
        });
        if let Some(old) = &old {
            self.derived.prerequisites(old, false);
        }
        self.derived.prerequisites(&version, true);
        self.derived.attached(&version, true);
        self.derived.graphs.insert((name.clone(), number), Arc::new(Graph::of(version.definition())));
        self.versions.insert((name.clone(), number), version.clone());
        self.touch(AggregateKey::Version(name.clone(), number));

        let wish = |version: &Version| version.definition().coordinator.as_ref().map(|c| c.is_enabled);
        let workflow = self.workflows.entry(name.clone()).or_insert_with(|| Workflow {
            name: name.clone(),
            current: number,
            origin: None,
            enabled_override: None,
            is_file_absent: false,
            completions: 0,
            removed: None,
            created: at,
        });
        // The override lasts until the file's own value changes.
        if old.as_deref().and_then(wish) != wish(&version) {
            workflow.enabled_override = None;
        }
        if workflow.removed.take().is_some() {
            workflow.created = at;
        }
        workflow.current = number;
        workflow.is_file_absent = false;
        if origin.is_some() {
            workflow.origin = origin.cloned();
        }
        self.touch(AggregateKey::Workflow(name.clone()));
        self.renew_triggers(name, old.as_deref(), &version, at);
        self.chunks_trimmed(chunks);
        Ok(())
    }

    /// Marks of triggers whose timing stayed are kept; all others begin now. Latches of subjects that are no
    /// longer prerequisites go.
    fn renew_triggers(&mut self, name: &WorkflowName, old: Option<&Version>, new: &Version, at: Timestamp) {
        let before = old.and_then(|version| version.definition().coordinator.as_ref());
        let now = new.definition().coordinator.as_ref();
        let has_same_timing = |trigger: &Trigger| match (before, now) {
            (Some(before), Some(now)) => {
                before.window == now.window
                    && before.triggers.iter().any(|old| old.id == trigger.id && timing(old) == timing(trigger))
            }
            _ => false,
        };
        let triggers: &[Trigger] = now.map_or(&[], |coordinator| &coordinator.triggers);
        let gone: Vec<_> = self
            .triggers_of(name)
            .filter(|mark| triggers.iter().all(|trigger| trigger.id != mark.id))
            .map(|mark| mark.id.clone())
            .collect();
        for id in gone {
            self.triggers.remove(&(name.clone(), id.clone()));
            self.touch(AggregateKey::Trigger(name.clone(), id));
        }
        for trigger in triggers {
            let key = (name.clone(), trigger.id.clone());
            if !self.triggers.contains_key(&key) || !has_same_timing(trigger) {
                let mark = TriggerState { workflow: name.clone(), id: trigger.id.clone(), evaluated_up_to: at };
                self.triggers.insert(key, mark);
                self.touch(AggregateKey::Trigger(name.clone(), trigger.id.clone()));
            }
        }
        let wanted = |coordinator: &Coordinator, subject: &crate::model::trigger::Subject| {
            coordinator.prerequisites.iter().any(
                |p| matches!(subject, crate::model::trigger::Subject::Workflow(workflow) if *workflow == p.workflow),
            )
        };
        let stale: Vec<_> = self
            .latches_of(name)
            .map(|latch| latch.fact.subject.clone())
            .filter(|subject| !now.is_some_and(|coordinator| wanted(coordinator, subject)))
            .collect();
        for subject in stale {
            self.latches.remove(&(name.clone(), subject.clone()));
            self.touch(AggregateKey::Latch(name.clone(), subject));
        }
    }

    pub fn triggers_of(&self, workflow: &WorkflowName) -> impl Iterator<Item = &TriggerState> {
        let workflow = workflow.clone();
        self.triggers
            .range((workflow.clone(), crate::model::id::TriggerId::from(""))..)
            .take_while(move |((name, _), _)| *name == workflow)
            .map(|(_, mark)| mark)
    }

    fn advance_all(&mut self, name: &WorkflowName, at: Timestamp) {
        let ids: Vec<_> = self.triggers_of(name).map(|mark| mark.id.clone()).collect();
        for id in ids {
            if let Some(mark) = self.triggers.get_mut(&(name.clone(), id.clone())) {
                mark.evaluated_up_to = mark.evaluated_up_to.max(at);
            }
            self.touch(AggregateKey::Trigger(name.clone(), id));
        }
    }

    fn with_workflow(&mut self, name: &WorkflowName, change: impl FnOnce(&mut Workflow)) -> Result<(), Illegal> {
        let workflow = self
            .workflows
            .get_mut(name)
            .filter(|workflow| workflow.removed.is_none())
            .ok_or_else(|| Illegal::new(format!("no workflow {name}")))?;
        change(workflow);
        self.touch(AggregateKey::Workflow(name.clone()));
        Ok(())
    }

    pub(super) fn origin_changed(&mut self, name: &WorkflowName, origin: Option<&Origin>) -> Result<(), Illegal> {
        self.with_workflow(name, |workflow| workflow.origin = origin.cloned())
    }

    /// Time while the workflow was off is not missed time: its triggers begin anew.
    pub(super) fn file_absence_changed(
        &mut self,
        name: &WorkflowName,
        absent: bool,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.with_workflow(name, |workflow| workflow.is_file_absent = absent)?;
        self.advance_all(name, at);
        Ok(())
    }

    pub(super) fn enable_changed(
        &mut self,
        name: &WorkflowName,
        enabled: bool,
        by: &Principal,
        why: Option<&String>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let was = self.is_enabled(name);
        self.with_workflow(name, |workflow| {
            workflow.enabled_override = Some(EnableOverride { enabled, by: by.clone(), at, why: why.cloned() });
        })?;
        if was != self.is_enabled(name) {
            self.advance_all(name, at);
        }
        Ok(())
    }

    pub(super) fn workflow_reset(&mut self, name: &WorkflowName, at: Timestamp) -> Result<(), Illegal> {
        self.with_workflow(name, |_| ())?;
        self.latches_cleared(name);
        self.advance_all(name, at);
        Ok(())
    }

    pub(super) fn workflow_removed(&mut self, name: &WorkflowName, at: Timestamp) -> Result<(), Illegal> {
        if self.derived.live_instances.contains_key(name) || self.derived.pending_fires.contains_key(name) {
            return Err(Illegal::new(format!("workflow {name} has live instances or pending fires")));
        }
        if let Some(version) = self.current_version(name).cloned() {
            self.derived.prerequisites(&version, false);
        }
        self.with_workflow(name, |workflow| {
            workflow.removed = Some(at);
            workflow.origin = None;
            workflow.enabled_override = None;
            workflow.is_file_absent = false;
        })?;
        self.latches_cleared(name);
        let ids: Vec<_> = self.triggers_of(name).map(|mark| mark.id.clone()).collect();
        for id in ids {
            self.triggers.remove(&(name.clone(), id.clone()));
            self.touch(AggregateKey::Trigger(name.clone(), id));
        }
        Ok(())
    }

    pub(super) fn source_offered(&mut self, id: &SourceId, node: MasterId, boot: Boot, directory: &str) {
        let source = self.sources.entry(id.clone()).or_insert_with(|| Source {
            id: id.clone(),
            directory: directory.to_owned(),
            offers: BTreeMap::new(),
            reporter: None,
            reports: 0,
        });
        source.offers.insert(node, boot);
        if source.reporter == Some(node) {
            source.directory = directory.to_owned();
            // A new boot counts its reports from 1.
            source.reports = 0;
        }
        self.touch(AggregateKey::Source(id.clone()));
    }

    fn source_mut(&mut self, id: &SourceId) -> Result<&mut Source, Illegal> {
        self.touch(AggregateKey::Source(id.clone()));
        self.sources.get_mut(id).ok_or_else(|| Illegal::new(format!("no source {id}")))
    }

    pub(super) fn source_granted(&mut self, id: &SourceId, node: Option<MasterId>) -> Result<(), Illegal> {
        let source = self.source_mut(id)?;
        if let Some(gone) = source.reporter.filter(|_| node.is_none()) {
            source.offers.remove(&gone);
        }
        source.reporter = node;
        source.reports = 0;
        Ok(())
    }

    pub(super) fn report_taken(&mut self, id: &SourceId, number: u64) -> Result<(), Illegal> {
        let source = self.source_mut(id)?;
        if number != source.reports + 1 {
            return Err(Illegal::new(format!("report {number} does not follow {}", source.reports)));
        }
        source.reports = number;
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // the fields of one event
    pub(super) fn file_recorded(
        &mut self,
        source: &SourceId,
        path: &str,
        content: &ContentHash,
        workflow: Option<&WorkflowName>,
        state: &FileState,
        diagnostics: &[Diagnostic],
        at: Timestamp,
    ) {
        let key = (source.clone(), path.to_owned());
        let file = SourceFile {
            source: source.clone(),
            path: path.to_owned(),
            content: content.clone(),
            workflow: workflow.cloned(),
            state: state.clone(),
            diagnostics: diagnostics.to_vec(),
            seen: at,
            missing: None,
        };
        if let Some(old) = self.files.get(&key) {
            self.derived.file(old, false);
        }
        self.derived.file(&file, true);
        self.files.insert(key, file);
        self.touch(AggregateKey::File(source.clone(), path.to_owned()));
    }

    pub(super) fn file_missed(&mut self, source: &SourceId, path: &str, at: Timestamp) -> Result<(), Illegal> {
        let file = self
            .files
            .get_mut(&(source.clone(), path.to_owned()))
            .ok_or_else(|| Illegal::new(format!("no file {path}")))?;
        self.derived.file(file, false);
        file.missing = Some(at);
        self.derived.file(file, true);
        self.touch(AggregateKey::File(source.clone(), path.to_owned()));
        Ok(())
    }

    pub(super) fn file_forgotten(&mut self, source: &SourceId, path: &str) -> Result<(), Illegal> {
        let file = self
            .files
            .remove(&(source.clone(), path.to_owned()))
            .ok_or_else(|| Illegal::new(format!("no file {path}")))?;
        self.derived.file(&file, false);
        self.touch(AggregateKey::File(source.clone(), path.to_owned()));
        Ok(())
    }

    pub(super) fn file_renamed(&mut self, source: &SourceId, from: &str, to: &str) -> Result<(), Illegal> {
        if self.files.contains_key(&(source.clone(), to.to_owned())) {
            return Err(Illegal::new(format!("there is a file {to}")));
        }
        let mut file = self
            .files
            .remove(&(source.clone(), from.to_owned()))
            .ok_or_else(|| Illegal::new(format!("no file {from}")))?;
        self.derived.file(&file, false);
        file.path = to.to_owned();
        file.missing = None;
        if let Some(workflow) = file.workflow.as_ref().and_then(|name| self.workflows.get_mut(name)) {
            let origin = workflow.origin.as_mut().filter(|origin| origin.source == *source && origin.path == from);
            if let Some(origin) = origin {
                origin.path = to.to_owned();
                let name = workflow.name.clone();
                self.touch(AggregateKey::Workflow(name));
            }
        }
        self.derived.file(&file, true);
        self.files.insert((source.clone(), to.to_owned()), file);
        self.touch(AggregateKey::File(source.clone(), from.to_owned()));
        self.touch(AggregateKey::File(source.clone(), to.to_owned()));
        Ok(())
    }
}

/// What of a trigger decides when it fires.
fn timing(trigger: &Trigger) -> impl PartialEq + '_ {
    (&trigger.source, trigger.window, &trigger.zone, trigger.dst_gap, trigger.dst_fold)
}

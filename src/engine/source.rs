//! Reports about the files of a source, and what they change.
//!
//! A change is what differs from what *this source* last had at that path: a second copy that differs from the
//! current version changes nothing by appearing. A broken file never touches the version that runs.

use crate::model::diagnostic::Severity;
use crate::model::id::{Boot, ContentHash, MasterId, Principal, SourceId, VersionNumber, WorkflowName};
use crate::model::policy::OnDelete;
use crate::say;

use super::command::{Rejected, Reply, Report};
use super::effect::Effect;
use super::engine::{Step, gone_due};
use super::event::EventKind;
use super::state::{Diagnostic, FileState, LogicalFile, Origin, SourceFile};

/// Most diagnostics kept of one file.
const DIAGNOSTICS_MAX: usize = 100;
/// The code of a file for which there is no room.
const NO_ROOM: &str = "RF-D0002";

impl Step<'_> {
    pub(super) fn offer_source(
        &mut self,
        id: SourceId,
        node: MasterId,
        boot: Boot,
        directory: String,
    ) -> Result<Reply, Rejected> {
        let known = self.state.sources.get(&id);
        let reporter = known.and_then(|source| source.reporter);
        // A reporter that offers again begins its reports anew, with a full listing.
        let begins_anew = known.is_some_and(|source| source.reporter == Some(node) && source.reports > 0);
        if begins_anew || known.is_none_or(|source| source.offers.get(&node) != Some(&boot)) {
            self.emit(EventKind::SourceOffered { source: id.clone(), node, boot, directory });
        }
        // The leader itself reports what it sees; else the master that asked first keeps it.
        let leader = self.state.cluster.leader.map(|leader| leader.node);
        let wanted = match reporter {
            Some(current) if Some(node) != leader || Some(current) == leader => current,
            Some(_) | None => node,
        };
        if reporter != Some(wanted) {
            self.emit(EventKind::SourceGranted { source: id.clone(), node: Some(wanted) });
        }
        if wanted == node {
            self.effects.push(Effect::GrantSource { source: id, node, boot });
        }
        Ok(Reply::Reporter { granted: wanted == node })
    }

    pub(super) fn master_down(&mut self, node: MasterId) -> Result<Reply, Rejected> {
        self.live.looks.retain(|(_, other), _| *other != node);
        let orphaned: Vec<_> = self
            .state
            .sources
            .values()
            .filter(|source| source.reporter == Some(node))
            .map(|source| {
                let heir = source.offers.iter().find(|(other, _)| **other != node).map(|(n, b)| (*n, *b));
                (source.id.clone(), heir)
            })
            .collect();
        for (source, heir) in orphaned {
            self.emit(EventKind::SourceGranted { source: source.clone(), node: heir.map(|(node, _)| node) });
            if let Some((node, boot)) = heir {
                self.effects.push(Effect::GrantSource { source, node, boot });
            }
        }
        Ok(Reply::Done)
    }

    /// Only the reporter's reports count, each once and in order.
    fn check_report(&self, report: &Report) -> Result<(), Rejected> {
        let source = self.state.sources.get(&report.source).ok_or_else(|| Rejected::no_source(&report.source))?;
        if source.reporter != Some(report.node) || source.offers.get(&report.node) != Some(&report.boot) {
            return Err(Rejected::conflict(say!("this master does not report that source")));
        }
        let expected = source.reports + 1;
        if report.number == expected { Ok(()) } else { Err(Rejected::StaleReport { expected }) }
    }

    fn take(&mut self, report: &Report) {
        self.emit(EventKind::ReportTaken { source: report.source.clone(), number: report.number });
    }

    fn file(&self, source: &SourceId, path: &str) -> Option<&SourceFile> {
        self.state.files.get(&(source.clone(), path.to_owned()))
    }

    pub(super) fn source_listed(&mut self, report: &Report, files: &[LogicalFile]) -> Result<Reply, Rejected> {
        self.check_report(report)?;
        self.take(report);
        let known: Vec<(String, bool)> = self
            .state
            .files
            .range((report.source.clone(), String::new())..)
            .take_while(|((source, _), _)| *source == report.source)
            .map(|((_, path), file)| (path.clone(), file.missing.is_some()))
            .collect();
        let listed: std::collections::BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        for (path, is_missing) in known {
            if !listed.contains(path.as_str()) && !is_missing {
                self.emit(EventKind::FileMissed { source: report.source.clone(), path });
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn file_gone(&mut self, report: &Report, path: &str) -> Result<Reply, Rejected> {
        self.check_report(report)?;
        self.take(report);
        if self.file(&report.source, path).is_some_and(|file| file.missing.is_none()) {
            self.emit(EventKind::FileMissed { source: report.source.clone(), path: path.to_owned() });
        }
        Ok(Reply::Done)
    }

    pub(super) fn file_moved(&mut self, report: &Report, from: &str, to: &str) -> Result<Reply, Rejected> {
        self.check_report(report)?;
        self.take(report);
        let source = report.source.clone();
        if from != to && self.file(&source, from).is_some() {
            if self.file(&source, to).is_some() {
                self.emit(EventKind::FileForgotten { source: source.clone(), path: to.to_owned() });
            }
            self.emit(EventKind::FileRenamed { source, from: from.to_owned(), to: to.to_owned() });
        }
        Ok(Reply::Done)
    }

    pub(super) fn load_failed(
        &mut self,
        report: &Report,
        path: String,
        content: ContentHash,
        mut errors: Vec<Diagnostic>,
    ) -> Result<Reply, Rejected> {
        self.check_report(report)?;
        self.take(report);
        errors.truncate(DIAGNOSTICS_MAX);
        let workflow = self.file(&report.source, &path).and_then(|file| file.workflow.clone());
        self.emit(EventKind::FileRecorded {
            source: report.source.clone(),
            path,
            content,
            workflow,
            state: FileState::Failed,
            diagnostics: errors,
        });
        Ok(Reply::Done)
    }

    pub(super) fn file_seen(
        &mut self,
        report: &Report,
        path: String,
        content: ContentHash,
        chunks: Vec<ContentHash>,
        mut warnings: Vec<Diagnostic>,
    ) -> Result<Reply, Rejected> {
        self.check_report(report)?;
        let bundle = self.bundle(&chunks)?;
        self.take(report);
        warnings.truncate(DIAGNOSTICS_MAX);
        let source = report.source.clone();
        let name = bundle.definition.name.clone();
        let before = self.file(&source, &path).cloned();
        if let Some(other) = before.as_ref().and_then(|file| file.workflow.clone()).filter(|other| *other != name) {
            self.orphan(&source, &path, &other);
        }
        let verdict = self.file_verdict(&source, &path, &name, &content, before.as_ref());
        let verdict = match (verdict, self.check_new_workflow(&name)) {
            (Verdict::NewVersion, Err(refusal)) => {
                warnings.insert(0, no_room(&path, &refusal));
                Verdict::Stays(FileState::Failed)
            }
            (verdict, _) => verdict,
        };
        let origin = Origin { source: source.clone(), path: path.clone(), content: content.clone() };
        let (state, is_new) = match verdict {
            Verdict::NewVersion => {
                let by = Principal::from(format!("file:m{}:{path}", report.node));
                let version = self.add_version(&name, content.clone(), chunks.clone(), Some(origin), by);
                (FileState::Loaded { version }, true)
            }
            Verdict::Same(version) => {
                if self.state.workflow(&name).is_some_and(|workflow| workflow.is_file_absent) {
                    self.emit(EventKind::FileAbsenceChanged { workflow: name.clone(), absent: false });
                }
                if self.state.workflow(&name).is_some_and(|workflow| workflow.origin.as_ref() != Some(&origin)) {
                    self.emit(EventKind::OriginChanged { workflow: name.clone(), origin: Some(origin) });
                }
                (FileState::Loaded { version }, false)
            }
            Verdict::Stays(state) => (state, false),
        };
        if !is_new {
            self.emit(EventKind::ChunksTrimmed { hashes: chunks });
        }
        if let FileState::Duplicate { other } = &state {
            let message = say!("{} defines workflow {} as {} does: only that one counts", path, name, other);
            self.attention(format!("workflow:{}", name), message);
        }
        let reply = match &state {
            FileState::Loaded { version } => Reply::Version { workflow: name.clone(), version: *version, is_new },
            FileState::Failed | FileState::Differs | FileState::Dismissed | FileState::Duplicate { .. } => {
                Reply::Unchanged
            }
        };
        self.emit(EventKind::FileRecorded {
            source,
            path,
            content,
            workflow: Some(name),
            state,
            diagnostics: warnings,
        });
        Ok(reply)
    }

    fn file_verdict(
        &self,
        source: &SourceId,
        path: &str,
        name: &WorkflowName,
        content: &ContentHash,
        before: Option<&SourceFile>,
    ) -> Verdict {
        let Some(workflow) = self.state.workflow(name) else {
            let is_dismissed = before.is_some_and(|file| {
                file.state == FileState::Dismissed && file.content == *content && file.workflow.as_ref() == Some(name)
            });
            return if is_dismissed { Verdict::Stays(FileState::Dismissed) } else { Verdict::NewVersion };
        };
        let current = self.state.current_version(name);
        let is_current = current.is_some_and(|version| version.content == *content);
        let rival = self.state.files_of(name).find(|file| {
            file.source == *source
                && file.path != path
                && file.missing.is_none()
                && !matches!(file.state, FileState::Duplicate { .. })
        });
        if let Some(rival) = rival {
            return Verdict::Stays(FileState::Duplicate { other: rival.path.clone() });
        }
        if is_current {
            return Verdict::Same(workflow.current);
        }
        // What this source last had: this file's record, or the file that the workflow came from here.
        let was_here = before.filter(|file| file.workflow.as_ref() == Some(name)).map(|file| &file.content);
        let from_here = workflow.origin.as_ref().filter(|origin| origin.source == *source).map(|o| &o.content);
        match was_here.or(from_here) {
            Some(last) if last == content => match before.map(|file| &file.state) {
                Some(FileState::Dismissed) => Verdict::Stays(FileState::Dismissed),
                _ => Verdict::Stays(FileState::Differs),
            },
            Some(_) => Verdict::NewVersion,
            None => Verdict::Stays(FileState::Differs),
        }
    }

    /// The file defines another workflow now: the one it had is without a file.
    fn orphan(&mut self, source: &SourceId, path: &str, name: &WorkflowName) {
        let is_origin = self
            .state
            .workflow(name)
            .and_then(|workflow| workflow.origin.as_ref())
            .is_some_and(|origin| origin.source == *source && origin.path == path);
        if is_origin {
            self.file_vanished(name);
        }
    }

    /// Files that have been gone for long enough, oldest first.
    pub(super) fn delete_missing_files(&mut self) {
        while !self.is_full() && gone_due(self.state, self.settings).is_some_and(|due| due <= self.at) {
            let Some((_, source, path)) = self.state.derived.missing_files.first().cloned() else { return };
            self.file_is_gone(&source, &path);
        }
    }

    fn file_is_gone(&mut self, source: &SourceId, path: &str) {
        let workflow = self.file(source, path).and_then(|file| file.workflow.clone());
        self.emit(EventKind::FileForgotten { source: source.clone(), path: path.to_owned() });
        let Some(name) = workflow else { return };
        let is_origin = self
            .state
            .workflow(&name)
            .and_then(|workflow| workflow.origin.as_ref())
            .is_some_and(|origin| origin.source == *source && origin.path == path);
        if is_origin {
            self.file_vanished(&name);
        }
    }

    fn file_vanished(&mut self, name: &WorkflowName) {
        let wish = self.state.current_version(name).and_then(|version| version.definition().on_delete);
        let on_delete = match wish.unwrap_or(self.settings.on_delete) {
            OnDelete::Remove if self.state.deletion_obstacle(name).is_some() => {
                let why = say!("its file is gone; it is only disabled, as it is still needed");
                self.attention(format!("workflow:{}", name), why);
                OnDelete::Disable
            }
            other => other,
        };
        match on_delete {
            OnDelete::Keep => {}
            OnDelete::Disable => {
                self.emit(EventKind::FileAbsenceChanged { workflow: name.clone(), absent: true });
                self.skip_pending(name);
            }
            OnDelete::Remove => self.remove_workflow(name),
        }
    }

    /// After `workflow apply`: files of this workflow that hold something else are shown as such.
    pub(super) fn compare_files(&mut self, name: &WorkflowName, content: &ContentHash, version: VersionNumber) {
        let files: Vec<_> = self
            .state
            .files_of(name)
            .filter(|file| file.missing.is_none())
            .filter(|file| match file.state {
                FileState::Loaded { .. } | FileState::Differs | FileState::Dismissed => true,
                // There was no room for it; now it is what runs.
                FileState::Failed => file.content == *content,
                FileState::Duplicate { .. } => false,
            })
            .cloned()
            .collect();
        for file in files {
            let state = if file.content == *content { FileState::Loaded { version } } else { FileState::Differs };
            if file.state != state {
                self.emit(EventKind::FileRecorded {
                    source: file.source,
                    path: file.path,
                    content: file.content,
                    workflow: file.workflow,
                    state,
                    diagnostics: file.diagnostics.into_iter().filter(|d| d.code != NO_ROOM).collect(),
                });
            }
        }
    }
}

/// A file that is right and is not loaded, as there are too many workflows.
fn no_room(path: &str, refusal: &Rejected) -> Diagnostic {
    Diagnostic {
        code: NO_ROOM.to_owned(),
        severity: Severity::Error,
        file: path.to_owned(),
        line: 1,
        column: 1,
        length: 1,
        message: refusal.said(),
        label: None,
        hint: refusal.hint(),
        notes: Vec::new(),
        excerpt: Vec::new(),
    }
}

/// What a file that was read means.
enum Verdict {
    NewVersion,
    /// It is what runs already.
    Same(VersionNumber),
    Stays(FileState),
}

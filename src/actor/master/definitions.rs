//! Definitions on their way from bytes to commands: reading, packing, cutting into pieces, reporting.
//!
//! Runs on the active Master, whichever process watched the directory. Decides only what to ask for; what
//! becomes a version is the engine's to say. Start reading at `Definitions::report`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::actor::definition::watcher::ReportError;
use crate::actor::protocol::definition::{ReportItem, SourceAnswer, SourceContent, SourceReport};
use crate::actor::view::doubt;
use crate::api::change::AppliedFile;
use crate::api::{ApiError, ErrorCode};
use crate::engine::command::{Command, Envelope, Rejected, Reply, Report};
use crate::engine::definition::{content_of, hash_of};
use crate::engine::listing_digest;
use crate::engine::state::{Bundle, LogicalFile, State};
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::id::{Boot, ContentHash, MasterId, SourceId, WorkflowName};
use crate::model::message::Message;
use crate::say;

use crate::model::schedule::Zone;
use crate::node::{beside, spec};
use crate::xml::{self, Purpose};

use super::attached::{self, Facts};
use super::shared::Shared;

pub struct Definitions {
    shared: Arc<Shared>,
    /// Number of the last report given to the engine, per source. Reports of one source go one after another.
    numbers: Mutex<BTreeMap<SourceId, u64>>,
    /// What masters see of sources that another one reports.
    looks: Mutex<BTreeMap<(SourceId, MasterId), Listing>>,
}

/// Paths and contents.
type Listing = BTreeMap<String, ContentHash>;

/// What reading a definition's bytes gave.
pub struct Compiled {
    pub bundle: Option<Bundle>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Definitions {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, numbers: Mutex::default(), looks: Mutex::default() }
    }

    pub async fn report(&self, report: SourceReport, node: MasterId, boot: Boot) -> Result<SourceAnswer, ReportError> {
        let mut numbers = self.numbers.lock().await;
        let source = report.source.clone();
        let mut reporting = Reporting { shared: &self.shared, node, boot, source: &source, numbers: &mut numbers };
        if report.is_full {
            let items = report.items.clone();
            let answer = reporting.full(report).await?;
            if !reporting.is_reporter() {
                self.looked(source, node, items, true).await?;
            }
            return Ok(answer);
        }
        if !reporting.is_reporter() {
            // Another master reports this directory; this one is told when it has to.
            self.looked(source, node, report.items, false).await?;
            return Ok(SourceAnswer::default());
        }
        if !reporting.numbers.contains_key(&source) {
            // This leader has not heard the listing: the watcher begins again.
            return Err(ReportError::NoLeader);
        }
        let mut answer = SourceAnswer::default();
        for item in report.items {
            match item {
                ReportItem::Present { path, hash } => {
                    if self.shared.is_unknown(&source, &path, &hash) {
                        answer.wanted.push(path);
                    }
                }
                ReportItem::Moved { from, to, .. } => {
                    reporting.submit(|report| Command::FileMoved { report, from, to }).await?;
                }
                ReportItem::Gone { path } => reporting.submit(|report| Command::FileGone { report, path }).await?,
                ReportItem::Unreadable { path, reason } => reporting.unreadable(path, reason).await?,
            }
        }
        Ok(answer)
    }

    /// What a master that only looks on has seen, for the engine to compare with what was reported.
    async fn looked(
        &self,
        source: SourceId,
        node: MasterId,
        items: Vec<ReportItem>,
        is_full: bool,
    ) -> Result<(), ReportError> {
        let mut looks = self.looks.lock().await;
        let key = (source.clone(), node);
        if is_full {
            looks.insert(key.clone(), Listing::new());
        }
        // A leader that has not heard the listing has it sent again.
        let listing = looks.get_mut(&key).ok_or(ReportError::NoLeader)?;
        for item in items {
            match item {
                ReportItem::Present { path, hash } => drop(listing.insert(path, hash)),
                ReportItem::Moved { from, to, hash } => {
                    listing.remove(&from);
                    listing.insert(to, hash);
                }
                ReportItem::Gone { path } => drop(listing.remove(&path)),
                ReportItem::Unreadable { path, reason } => {
                    listing.insert(path, crate::engine::definition::hash_of(reason.as_bytes()));
                }
            }
        }
        let digest = listing_digest(listing.iter().map(|(path, content)| (path.as_str(), content)));
        let looked = Command::SourceLooked { source, node, digest };
        self.shared.submit(Envelope::internal(looked)).await.map_err(refused)?;
        Ok(())
    }

    pub async fn content(&self, content: SourceContent, node: MasterId, boot: Boot) -> Result<(), ReportError> {
        let SourceContent { source, path, hash, bytes, files } = content;
        let zone = self.shared.zone();
        let files = Some(attached::facts(files));
        // Of other workflows nothing is known: their files may come later. What is missing is found when it is shown.
        let compiled = compile(path.clone(), bytes, zone, Purpose::Load, None, files).await;
        let compiled = compiled.map_err(ReportError::Refused)?;
        if let Some(bundle) = &compiled.bundle {
            attached::spread(&self.shared, &bundle.files).await.map_err(ReportError::Refused)?;
        }
        let mut numbers = self.numbers.lock().await;
        if !numbers.contains_key(&source) {
            return Err(ReportError::NoLeader);
        }
        let mut reporting = Reporting { shared: &self.shared, node, boot, source: &source, numbers: &mut numbers };
        if !reporting.is_reporter() {
            // The duty moved to another master meanwhile; that one lists everything.
            return Ok(());
        }
        match compiled.bundle {
            Some(bundle) => {
                let chunks = self.store(&bundle).await.map_err(refused)?;
                let warnings = compiled.diagnostics;
                reporting.submit(|report| Command::FileSeen { report, path, content: hash, chunks, warnings }).await
            }
            None => {
                let errors = compiled.diagnostics;
                reporting.submit(|report| Command::LoadFailed { report, path, content: hash, errors }).await
            }
        }
    }

    /// Reads a text that came over the API.
    pub async fn compile(
        &self,
        path: String,
        bytes: Vec<u8>,
        purpose: Purpose,
        files: Option<Facts>,
    ) -> Result<Compiled, ApiError> {
        let known = self.shared.raft.replica().with_state(doubt::known);
        let read = compile(path, bytes, self.shared.zone(), purpose, Some(known), files).await;
        read.map_err(|error| ApiError::internal(error))
    }

    /// Reads a text that is to be the newest version, with the files that came with it or that its newest version has.
    pub async fn applied(
        &self,
        path: String,
        bytes: Vec<u8>,
        files: Vec<AppliedFile>,
    ) -> Result<(Compiled, ContentHash), ApiError> {
        let names = beside::names(&bytes);
        let mut facts = self.facts_of_newest(&bytes, &names);
        for file in files {
            let store = self.shared.files.clone();
            let AppliedFile { path, content } = file;
            let kept = tokio::task::spawn_blocking(move || {
                let content = hex::decode(&content).map_err(|error| {
                    let wrong = say!("a file's content is not hexadecimal: {}", error.to_string());
                    ApiError::new(ErrorCode::BadRequest, wrong)
                })?;
                let (hash, length) = (hash_of(&content), content.len() as u64);
                if !store.has(&hash, length) {
                    store.import(content.as_slice(), &hash, length).map_err(ApiError::internal)?;
                }
                Ok::<_, ApiError>((hash, length))
            });
            facts.insert(path, Ok(kept.await.map_err(ApiError::internal)??));
        }
        let found =
            |name: &String| facts.get(name).and_then(|found| found.as_ref().ok()).map(|(hash, _)| hash.to_string());
        let held: Vec<(&str, String)> = names.iter().filter_map(|name| Some((name.as_str(), found(name)?))).collect();
        let content = content_of(&hash_of(&bytes), held);
        let compiled = self.compile(path, bytes, Purpose::Load, Some(facts)).await?;
        if let Some(bundle) = &compiled.bundle {
            attached::spread(&self.shared, &bundle.files)
                .await
                .map_err(|error| ApiError::new(ErrorCode::NoLeader, Message::verbatim(error)).retry_after_ms(1_000))?;
        }
        Ok((compiled, content))
    }

    fn facts_of_newest(&self, bytes: &[u8], names: &[String]) -> Facts {
        if names.is_empty() {
            return Facts::new();
        }
        let Some(name) = xml::read(&xml::Input::new(bytes, "", spec::all())).name else { return Facts::new() };
        self.shared.raft.replica().with_state(|state| {
            let newest = state.current_version(&WorkflowName::from(name)).into_iter();
            let files = newest.flat_map(|version| &version.bundle.files);
            files.map(|file| (file.path.clone(), Ok((file.hash.clone(), file.bytes)))).collect()
        })
    }

    /// Refuses a text that was made for another version than the one that runs.
    pub fn expect_version(&self, workflow: &WorkflowName, expected: u32) -> Result<(), ApiError> {
        let current = self.shared.raft.replica().with_state(|state| state.workflows.get(workflow).map(|w| w.current.0));
        match current.unwrap_or(0) {
            current if current == expected => Ok(()),
            current => Err(ApiError::new(
                ErrorCode::VersionConflict,
                say!("{} is at version {}, not {}", workflow, current, expected),
            )
            .hint(say!("look at the newest version and apply again"))),
        }
    }

    /// Sends the bundle through the log ahead of the event that names its pieces.
    pub async fn store(&self, bundle: &Bundle) -> Result<Vec<ContentHash>, Rejected> {
        let mut chunks = Vec::new();
        for (hash, bytes) in crate::engine::definition::pack(bundle) {
            if !self.shared.has_chunk(&hash) {
                self.shared.submit(Envelope::internal(Command::StoreChunk { hash: hash.clone(), bytes })).await?;
            }
            chunks.push(hash);
        }
        Ok(chunks)
    }
}

/// Reports of one source, in order.
struct Reporting<'a> {
    shared: &'a Shared,
    node: MasterId,
    boot: Boot,
    source: &'a SourceId,
    numbers: &'a mut BTreeMap<SourceId, u64>,
}

impl Reporting<'_> {
    fn is_reporter(&self) -> bool {
        let reporter = |state: &State| state.sources.get(self.source).and_then(|source| source.reporter);
        self.shared.raft.replica().with_state(reporter) == Some(self.node)
    }

    async fn full(&mut self, report: SourceReport) -> Result<SourceAnswer, ReportError> {
        let offer = Command::OfferSource {
            source: report.source.clone(),
            node: self.node,
            boot: self.boot,
            directory: report.reporter.clone(),
        };
        let (reply, _) = self.shared.submit(Envelope::internal(offer)).await.map_err(refused)?;
        if reply != (Reply::Reporter { granted: true }) {
            return Ok(SourceAnswer::default());
        }
        // A granted reporter counts from 1.
        self.numbers.insert(self.source.clone(), 0);
        let mut files = Vec::new();
        let mut unreadable = Vec::new();
        for item in report.items {
            match item {
                ReportItem::Present { path, hash } => files.push(LogicalFile { path, content: hash }),
                ReportItem::Unreadable { path, reason } => unreadable.push((path, reason)),
                ReportItem::Moved { .. } | ReportItem::Gone { .. } => {}
            }
        }
        for (from, to) in self.renamed_meanwhile(&files) {
            self.submit(|report| Command::FileMoved { report, from, to }).await?;
        }
        let wanted = files
            .iter()
            .filter(|file| self.shared.is_unknown(self.source, &file.path, &file.content))
            .map(|file| file.path.clone())
            .collect();
        self.submit(|report| Command::SourceListed { report, files }).await?;
        for (path, reason) in unreadable {
            self.unreadable(path, reason).await?;
        }
        Ok(SourceAnswer { wanted, missing: Vec::new() })
    }

    /// A content that stands under a new name while its old name is gone was renamed while nobody watched.
    fn renamed_meanwhile(&self, files: &[LogicalFile]) -> Vec<(String, String)> {
        let listed: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let known = self.shared.files_of(self.source);
        let mut gone: BTreeMap<&ContentHash, &str> = known
            .iter()
            .filter(|(path, _)| !listed.contains(path.as_str()))
            .map(|(path, content)| (content, path.as_str()))
            .collect();
        let is_new = |file: &&LogicalFile| !known.iter().any(|(path, _)| *path == file.path);
        files
            .iter()
            .filter(is_new)
            .filter_map(|file| Some((gone.remove(&file.content)?.to_owned(), file.path.clone())))
            .collect()
    }

    async fn unreadable(&mut self, path: String, reason: String) -> Result<(), ReportError> {
        let error = Diagnostic {
            code: "RF-X0001".to_owned(),
            severity: Severity::Error,
            file: path.clone(),
            line: 1,
            column: 1,
            length: 1,
            message: say!("the file cannot be read: {}", reason),
            label: None,
            hint: Some(say!("check its owner, mode and size")),
            notes: Vec::new(),
            excerpt: Vec::new(),
        };
        let content = crate::engine::definition::hash_of(reason.as_bytes());
        self.submit(|report| Command::LoadFailed { report, path, content, errors: vec![error] }).await
    }

    async fn submit(&mut self, command: impl FnOnce(Report) -> Command) -> Result<(), ReportError> {
        let number = self.numbers.get(self.source).copied().unwrap_or_default() + 1;
        let report = Report { source: self.source.clone(), node: self.node, boot: self.boot, number };
        match self.shared.submit(Envelope::internal(command(report))).await {
            Ok(_) => {
                self.numbers.insert(self.source.clone(), number);
                Ok(())
            }
            Err(rejected) => {
                if matches!(rejected, Rejected::StaleReport { .. } | Rejected::NotLeader | Rejected::Internal(_)) {
                    // Out of step with the engine: the next report must be a full listing.
                    self.numbers.remove(self.source);
                }
                Err(refused(rejected))
            }
        }
    }
}

/// Reads a definition's bytes, with everything that is wrong about them. 4 MiB take a moment: not on the threads
/// that move messages. `files`: those that it names, where that is known.
pub async fn compile(
    path: String,
    bytes: Vec<u8>,
    zone: Zone,
    purpose: Purpose,
    known: Option<BTreeSet<String>>,
    files: Option<Facts>,
) -> Result<Compiled, String> {
    let is_looked_at = files.is_some();
    let read = move || {
        let (known_workflows, now) = (known.as_ref(), Some(crate::actor::clock::wall()));
        let facts = files.unwrap_or_default();
        let look = |path: &str| attached::look(&facts, path);
        let files = is_looked_at.then_some(&look as &xml::FileLook<'_>);
        let input = xml::Input { files, ..xml::Input::new(&bytes, &path, spec::all()) };
        let outcome = xml::read(&xml::Input { purpose, zone, now, known_workflows, ..input });
        let bundle = outcome.definition.map(|definition| Bundle {
            text: xml::text_of(&bytes),
            path: Some(path.clone()),
            files: beside::attached(&definition, &attached::held(&facts)),
            definition,
        });
        Compiled { bundle, diagnostics: outcome.diagnostics }
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())
}

fn refused(rejected: Rejected) -> ReportError {
    match rejected {
        Rejected::NotLeader => ReportError::NoLeader,
        other => ReportError::Refused(other.to_string()),
    }
}

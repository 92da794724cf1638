//! The actor that watches a definitions directory and reports to the active Master.
//!
//! Owns the pace of looking (at once on a file event, soon while a file is being written, else every
//! `rescan`), and holds back a text that ends early: it may be a copy in progress. Decides nothing about
//! versions; what counts as a change is the Master's to say. Start reading at `WatcherState::look`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use notify::{EventKind, RecursiveMode, Watcher as _};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use serde::{Deserialize, Serialize};

use crate::actor::file_store::FileStore;
use crate::actor::protocol::definition::{
    HeldFile, ReportItem, ReportedFile, SourceAnswer, SourceContent, SourceReport,
};
use crate::model::id::{ContentHash, SourceId};

use super::attached::{self, Named};
use super::scan::{Found, Scan, ScanLimits, Whole};

/// Where reports go: the active Master, here or over the link.
#[async_trait]
pub trait ReportTo: Send + Sync + 'static {
    async fn report(&self, report: SourceReport) -> Result<SourceAnswer, ReportError>;
    /// Brings the files that a definition names to this master and to the active one, before it is told of them.
    async fn deliver(&self, files: Vec<Delivery>) -> Result<(), ReportError>;
    async fn content(&self, content: SourceContent) -> Result<(), ReportError>;
    /// Does the text end where its root element ends? A text that does not may still be being written.
    fn is_complete(&self, bytes: &[u8]) -> bool;
}

/// A file that a definition names, where it lies.
#[derive(Debug, Clone)]
pub struct Delivery {
    root: PathBuf,
    place: String,
    pub hash: ContentHash,
    pub bytes: u64,
}

impl Delivery {
    /// Copies it as it was when it was looked at; one that has changed since is looked at again. Blocks.
    pub fn take_into(&self, store: &FileStore) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.place);
        let file = attached::open(&self.root, &self.place).map_err(failed)?;
        match store.import(file, &self.hash, self.bytes).map_err(failed)? {
            true => Ok(()),
            false => Err(format!("{} has just changed", self.place)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReportError {
    #[error("no master is active")]
    NoLeader,
    #[error("the master refused the report: {0}")]
    Refused(String),
}

pub struct WatcherConfig {
    pub root: PathBuf,
    pub source: SourceId,
    pub reporter: String,
    pub limits: ScanLimits,
    /// Between looks when nothing says that something changed.
    pub rescan: Duration,
    /// A text that ends early is held back this long after its last change.
    pub incomplete_grace: Duration,
}

#[derive(RactorMessage)]
pub enum WatcherMessage {
    /// Something in the directory changed, or it is time to look.
    Look,
    /// A new leader, or a new duty to report: begin with a full listing.
    ListAgain,
}

pub struct Watcher;

pub struct WatcherState {
    config: WatcherConfig,
    to: Arc<dyn ReportTo>,
    scan: Scan,
    held: BTreeMap<String, Held>,
    pending: Vec<ReportItem>,
    number: u64,
    /// Until the first listing arrived, every report is a full one.
    is_listed: bool,
    started: Instant,
    timer: Option<tokio::task::JoinHandle<()>>,
    /// Keeps the inotify handle alive; `None` where the file system gives no events.
    _events: Option<notify::RecommendedWatcher>,
}

struct Held {
    hash: ContentHash,
    since: Instant,
}

impl Actor for Watcher {
    type Msg = WatcherMessage;
    type State = WatcherState;
    type Arguments = (WatcherConfig, Arc<dyn ReportTo>);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (config, to): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let events = watch(&config, myself.clone());
        let scan = Scan::new(config.root.clone(), config.limits.clone());
        myself.cast(WatcherMessage::Look)?;
        Ok(WatcherState {
            config,
            to,
            scan,
            held: BTreeMap::new(),
            pending: Vec::new(),
            number: 0,
            is_listed: false,
            started: Instant::now(),
            timer: None,
            _events: events,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, WatcherMessage::ListAgain) {
            state.is_listed = false;
        }
        let pause = state.look().await;
        if let Some(timer) = state.timer.take() {
            timer.abort();
        }
        state.timer = Some(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // The actor may have stopped meanwhile; then there is nobody to remind.
            let _ = myself.cast(WatcherMessage::Look);
        }));
        Ok(())
    }
}

/// File events become `Look`s, at most one waiting. Opening and reading are not changes.
fn watch(config: &WatcherConfig, myself: ActorRef<WatcherMessage>) -> Option<notify::RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            let _ = myself.cast(WatcherMessage::Look);
        }
    };
    let watcher = notify::recommended_watcher(tell)
        .and_then(|mut watcher| watcher.watch(&config.root, RecursiveMode::Recursive).map(|()| watcher));
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(directory = %config.root.display(), %error, "no file events here; looking every {:?}", config.rescan);
            None
        }
    }
}

impl WatcherState {
    /// One look, one report. Answers how long to pause.
    async fn look(&mut self) -> Duration {
        let now = Instant::now();
        for found in self.look_around(now).await {
            self.take(found, now);
        }
        self.release_held(now);
        let is_first_complete = now.duration_since(self.started) >= self.config.limits.settle;
        if is_first_complete && (!self.is_listed || !self.pending.is_empty()) {
            self.send().await;
        }
        if self.scan.is_unsettled() || !self.held.is_empty() || !self.pending.is_empty() || !self.is_listed {
            self.config.limits.settle.max(Duration::from_millis(50))
        } else {
            self.config.rescan
        }
    }

    /// Apart from the threads that move messages: large files are read as a whole.
    async fn look_around(&mut self, now: Instant) -> Vec<Found> {
        let mut scan = std::mem::take(&mut self.scan);
        let looked = tokio::task::spawn_blocking(move || {
            let found = scan.look(now);
            (scan, found)
        });
        match looked.await {
            Ok((scan, found)) => {
                self.scan = scan;
                found
            }
            Err(error) => {
                tracing::error!(%error, "a look at the definitions failed; beginning anew");
                self.scan = Scan::new(self.config.root.clone(), self.config.limits.clone());
                self.is_listed = false;
                Vec::new()
            }
        }
    }

    fn take(&mut self, found: Found, now: Instant) {
        match found {
            Found::Content { path, hash, bytes } => {
                if self.to.is_complete(&bytes) {
                    self.held.remove(&path);
                    self.pending.push(ReportItem::Present { path, hash });
                } else {
                    self.held.insert(path, Held { hash, since: now });
                }
            }
            Found::Moved { from, to, hash } => self.pending.push(ReportItem::Moved { from, to, hash }),
            Found::Gone { path } => {
                if self.held.remove(&path).is_none() {
                    self.pending.push(ReportItem::Gone { path });
                }
            }
            Found::Unreadable { path, reason } => self.pending.push(ReportItem::Unreadable { path, reason }),
        }
    }

    /// A text that ends early and did not grow for the grace is broken, not half-written.
    fn release_held(&mut self, now: Instant) {
        let grace = self.config.incomplete_grace;
        let due: Vec<String> = self
            .held
            .iter()
            .filter(|(_, held)| now.duration_since(held.since) >= grace)
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            if let Some(held) = self.held.remove(&path) {
                self.pending.push(ReportItem::Present { path, hash: held.hash });
            }
        }
    }

    /// Reports what is pending, then sends the contents asked for. What could not be delivered stays pending.
    async fn send(&mut self) {
        let is_full = !self.is_listed;
        let items = if is_full { self.full_listing() } else { self.pending.clone() };
        let report = SourceReport {
            source: self.config.source.clone(),
            reporter: self.config.reporter.clone(),
            number: self.number + 1,
            is_full,
            items,
        };
        let answer = match self.to.report(report).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "definitions could not be reported yet");
                // The next leader may know less: begin again with everything.
                self.is_listed = false;
                return;
            }
        };
        self.number += 1;
        self.is_listed = true;
        self.pending.clear();
        for (path, hash) in answer.missing {
            self.scan.remember(&path, hash, Instant::now());
        }
        for path in answer.wanted {
            if !self.send_content(&path).await {
                self.is_listed = false;
                return;
            }
        }
    }

    fn full_listing(&self) -> Vec<ReportItem> {
        let held = |path: &str| self.held.contains_key(path);
        let present = self.scan.listing().into_iter().filter(|(path, _)| !held(path));
        let mut items: Vec<ReportItem> = present.map(|(path, hash)| ReportItem::Present { path, hash }).collect();
        items.extend(self.pending.iter().filter(|item| matches!(item, ReportItem::Unreadable { .. })).cloned());
        items
    }

    /// False when the Master did not take it. A file that changed meanwhile is skipped: the next look reports it.
    async fn send_content(&mut self, path: &str) -> bool {
        let Some(Whole { hash, bytes, named }) = self.scan.read_again(path) else {
            self.scan.forget(path);
            return true;
        };
        let deliveries: Vec<Delivery> = named.iter().filter_map(|file| self.delivery(file)).collect();
        let files = named.into_iter().map(reported).collect();
        let content = SourceContent { source: self.config.source.clone(), path: path.to_owned(), hash, bytes, files };
        let delivered = if deliveries.is_empty() { Ok(()) } else { self.to.deliver(deliveries).await };
        let taken = match delivered {
            Ok(()) => self.to.content(content).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path, %error, "a definition could not be delivered yet");
                false
            }
        }
    }
}

impl WatcherState {
    fn delivery(&self, file: &Named) -> Option<Delivery> {
        let attached::Held { place, hash, bytes } = file.found.clone().ok()?;
        Some(Delivery { root: self.config.root.clone(), place, hash, bytes })
    }
}

fn reported(file: Named) -> ReportedFile {
    ReportedFile { path: file.path, found: file.found.map(|held| HeldFile { hash: held.hash, bytes: held.bytes }) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder {
        reports: Mutex<Vec<SourceReport>>,
        contents: Mutex<Vec<(String, Vec<u8>)>>,
        delivered: Mutex<Vec<Delivery>>,
        /// Of the last content.
        files: Mutex<Vec<ReportedFile>>,
        is_away: std::sync::atomic::AtomicBool,
        missing: Mutex<Vec<(String, ContentHash)>>,
    }

    #[async_trait]
    impl ReportTo for Recorder {
        async fn report(&self, report: SourceReport) -> Result<SourceAnswer, ReportError> {
            if self.is_away.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(ReportError::NoLeader);
            }
            let wanted = report
                .items
                .iter()
                .filter_map(|item| match item {
                    ReportItem::Present { path, .. } => Some(path.clone()),
                    _ => None,
                })
                .collect();
            let missing = if report.is_full { self.missing.lock().unwrap().clone() } else { Vec::new() };
            self.reports.lock().unwrap().push(report);
            Ok(SourceAnswer { wanted, missing })
        }

        async fn deliver(&self, files: Vec<Delivery>) -> Result<(), ReportError> {
            assert!(self.contents.lock().unwrap().is_empty(), "the files go before the content");
            self.delivered.lock().unwrap().extend(files);
            Ok(())
        }

        async fn content(&self, content: SourceContent) -> Result<(), ReportError> {
            self.files.lock().unwrap().clone_from(&content.files);
            self.contents.lock().unwrap().push((content.path, content.bytes));
            Ok(())
        }

        fn is_complete(&self, bytes: &[u8]) -> bool {
            bytes.ends_with(b"</a>") || bytes.ends_with(b"</work-flow>")
        }
    }

    async fn watching(recorder: Arc<Recorder>, root: &std::path::Path) -> ActorRef<WatcherMessage> {
        let limits = ScanLimits {
            settle: Duration::from_millis(20),
            gone_after: Duration::from_millis(100),
            ..ScanLimits::default()
        };
        let config = WatcherConfig {
            root: root.to_owned(),
            source: SourceId::from("s"),
            reporter: "m1".into(),
            limits,
            rescan: Duration::from_millis(100),
            incomplete_grace: Duration::from_millis(300),
        };
        Actor::spawn(None, Watcher, (config, recorder as Arc<dyn ReportTo>)).await.unwrap().0
    }

    async fn await_true(condition: impl Fn() -> bool) {
        for _ in 0..1000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited ten seconds");
    }

    #[tokio::test]
    async fn a_watcher_lists_everything_once_and_then_only_changes() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("x.xml"), "<a></a>").unwrap();
        let recorder = Arc::new(Recorder::default());
        let actor = watching(recorder.clone(), directory.path()).await;
        await_true(|| recorder.contents.lock().unwrap().len() == 1).await;
        fs::write(directory.path().join("y.xml"), "<a>2</a>").unwrap();
        await_true(|| recorder.contents.lock().unwrap().len() == 2).await;
        let reports = recorder.reports.lock().unwrap().clone();
        assert!(reports[0].is_full && !reports[1].is_full);
        assert_eq!((reports[0].number, reports[1].number), (1, 2));
        assert_eq!(reports[1].items.len(), 1);
        actor.stop(None);
    }

    #[tokio::test]
    async fn what_a_definition_names_is_delivered_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let text = "<work-flow name='w'><start name='s' to='b'/><action name='b'><script><code>x</code><attach-list>\
                    <file>d.csv</file><file>gone.csv</file></attach-list></script><ok to='e'/></action><end name='e'/>\
                    </work-flow>";
        fs::write(directory.path().join("x.xml"), text).unwrap();
        fs::write(directory.path().join("d.csv"), "1,2").unwrap();
        let recorder = Arc::new(Recorder::default());
        let actor = watching(recorder.clone(), directory.path()).await;
        await_true(|| recorder.contents.lock().unwrap().len() == 1).await;
        let files = recorder.files.lock().unwrap().clone();
        let names: Vec<(&str, bool)> = files.iter().map(|file| (file.path.as_str(), file.found.is_ok())).collect();
        assert_eq!(names, [("d.csv", true), ("gone.csv", false)]);
        let store_of = tempfile::tempdir().unwrap();
        let store = FileStore::open(store_of.path().join("files")).unwrap();
        let [delivery] = &recorder.delivered.lock().unwrap()[..] else { panic!("one file is there") };
        delivery.take_into(&store).unwrap();
        assert!(store.has(&delivery.hash, 3));
        fs::write(directory.path().join("d.csv"), "3,4").unwrap();
        let other = FileStore::open(store_of.path().join("others")).unwrap();
        assert!(delivery.take_into(&other).unwrap_err().contains("has just changed"));
        actor.stop(None);
    }

    #[tokio::test]
    async fn nothing_is_lost_while_no_master_is_active() {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        recorder.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
        let actor = watching(recorder.clone(), directory.path()).await;
        fs::write(directory.path().join("x.xml"), "<a></a>").unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        recorder.is_away.store(false, std::sync::atomic::Ordering::SeqCst);
        await_true(|| recorder.contents.lock().unwrap().len() == 1).await;
        actor.stop(None);
    }

    #[tokio::test]
    async fn a_text_that_ends_early_is_held_back_and_then_reported_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let actor = watching(recorder.clone(), directory.path()).await;
        fs::write(directory.path().join("half.xml"), "<a>").unwrap();
        fs::write(directory.path().join("whole.xml"), "<a></a>").unwrap();
        await_true(|| recorder.contents.lock().unwrap().len() == 2).await;
        let names: Vec<String> = recorder.contents.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(names, ["whole.xml", "half.xml"]);
        actor.stop(None);
    }

    #[tokio::test]
    async fn a_file_deleted_while_nobody_watched_is_reported_gone() {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        *recorder.missing.lock().unwrap() = vec![("old.xml".into(), ContentHash::from("h"))];
        let actor = watching(recorder.clone(), directory.path()).await;
        let gone = ReportItem::Gone { path: "old.xml".into() };
        await_true(|| recorder.reports.lock().unwrap().iter().any(|report| report.items.contains(&gone))).await;
        actor.stop(None);
    }
}

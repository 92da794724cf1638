//! A master of the tests: takes registrations and reports, keeps logs in a real log store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ractorflow::actor::log_store::{LogLimits, LogSelection, LogStore};
use ractorflow::actor::protocol::worker::{
    Dispatch, Kill, LogAck, LogChunk, MasterMessage, Register, Registered, SessionNumber, WorkerMessage,
};
use ractorflow::actor::worker::{LinkFailed, MasterLink, Worker, WorkerConfig};
use ractorflow::api::LogStart;
use ractorflow::cluster::ByteReader;
use ractorflow::model::assignment::{Assignment, Outcome};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{AttemptId, Boot, ContentHash, Epoch};

use crate::assignment::{assignment, element};
use crate::support::{eventually, shim_program};

/// Directories of one worker, and the master it talks to.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub logs: Arc<LogStore>,
}

pub struct Link {
    pub epoch: Epoch,
    session: AtomicU64,
    /// Of the last registration.
    nonce: AtomicU64,
    pub registers: Mutex<Vec<Register>>,
    pub heard: Mutex<Vec<WorkerMessage>>,
    pub logs: Arc<LogStore>,
    pub is_bulk_broken: AtomicBool,
    /// Files of versions, and how often one was asked for.
    pub files: Mutex<BTreeMap<ContentHash, Vec<u8>>>,
    pub n_reads: AtomicU64,
    pub answers_heartbeats: AtomicBool,
    worker: Mutex<Option<(Worker, Arc<dyn MasterLink>)>>,
}

#[async_trait]
impl MasterLink for Link {
    fn master(&self) -> &str {
        "m1"
    }

    fn cast(&self, message: &WorkerMessage) -> Result<(), LinkFailed> {
        if let WorkerMessage::Heartbeat(heartbeat) = message
            && self.answers_heartbeats.load(Ordering::SeqCst)
        {
            let (session, epoch, nonce) = (heartbeat.session, self.epoch, heartbeat.nonce);
            self.say(MasterMessage::HeartbeatAnswered { session, epoch, nonce });
        }
        self.heard.lock().unwrap().push(message.clone());
        Ok(())
    }

    async fn register(&self, register: Box<Register>) -> Result<Registered, LinkFailed> {
        if register.highest_epoch > self.epoch {
            return Err(LinkFailed::Refused("the worker has heard a higher epoch".to_owned()));
        }
        let session = SessionNumber(self.session.fetch_add(1, Ordering::SeqCst) + 1);
        let nonce = register.nonce;
        self.nonce.store(nonce, Ordering::SeqCst);
        self.registers.lock().unwrap().push(*register);
        Ok(Registered { session, epoch: self.epoch, log_copies: 1, nonce })
    }

    async fn read_file(&self, hash: &ContentHash, offset: u64) -> Result<ByteReader, LinkFailed> {
        self.n_reads.fetch_add(1, Ordering::SeqCst);
        let files = self.files.lock().unwrap();
        let file = files.get(hash).ok_or_else(|| LinkFailed::Refused("no such file".to_owned()))?;
        let rest = file.get(offset as usize..).unwrap_or_default().to_vec();
        Ok(Box::pin(std::io::Cursor::new(rest)))
    }

    async fn put(&self, chunk: LogChunk) -> Result<LogAck, LinkFailed> {
        if self.is_bulk_broken.load(Ordering::SeqCst) {
            return Err(LinkFailed::Broken("bulk".to_owned()));
        }
        if chunk.is_cut {
            self.logs.cut(chunk.attempt, chunk.offset, 0).unwrap();
            return Ok(LogAck { attempt: chunk.attempt, offset: chunk.offset, is_complete: true });
        }
        let end = chunk.offset + chunk.bytes.len() as u64;
        let offset = self.logs.append(chunk.attempt, chunk.offset, &chunk.bytes).unwrap();
        let is_complete = chunk.is_end && self.logs.finish(chunk.attempt, end).unwrap();
        Ok(LogAck { attempt: chunk.attempt, offset, is_complete })
    }
}

impl Link {
    fn say(&self, message: MasterMessage) {
        let worker = self.worker.lock().unwrap();
        if let Some((worker, link)) = worker.as_ref() {
            worker.from_master(link, message);
        }
    }

    pub fn session(&self) -> SessionNumber {
        SessionNumber(self.session.load(Ordering::SeqCst))
    }

    pub fn dispatch(&self, assignment: &Assignment) {
        self.dispatch_on(self.session(), self.epoch, assignment);
    }

    pub fn dispatch_on(&self, session: SessionNumber, epoch: Epoch, assignment: &Assignment) {
        self.say(MasterMessage::Dispatch(Box::new(Dispatch { session, epoch, assignment: assignment.clone() })));
    }

    pub fn kill(&self, attempt: AttemptId, grace_ms: i64) {
        let (session, epoch) = (self.session(), self.epoch);
        self.say(MasterMessage::Kill(Kill { session, epoch, attempt, grace: Millis(grace_ms) }));
    }

    pub fn acknowledge(&self, attempt: AttemptId) {
        self.say(MasterMessage::Ack { session: self.session(), epoch: self.epoch, attempts: vec![attempt] });
    }

    pub fn drain(&self, is_draining: bool) {
        self.say(MasterMessage::Drain { session: self.session(), epoch: self.epoch, is_draining });
    }

    /// Waits for a message that `pick` takes.
    pub async fn hears<T>(&self, what: &str, pick: impl Fn(&WorkerMessage) -> Option<T>) -> T {
        eventually(what, || self.heard.lock().unwrap().iter().find_map(&pick)).await
    }

    pub async fn outcome(&self, attempt: AttemptId) -> Outcome {
        self.hears("a result", |message| match message {
            WorkerMessage::Finished(finished) if finished.attempt == attempt => Some(finished.outcome.clone()),
            _ => None,
        })
        .await
    }

    pub async fn started(&self, attempt: AttemptId) {
        self.hears("the start", |message| match message {
            WorkerMessage::Started(started) if started.attempt == attempt => Some(()),
            _ => None,
        })
        .await;
    }

    /// Waits until the worker has sent so many heartbeats more.
    pub async fn beats(&self, more: usize) {
        let is_beat = |message: &WorkerMessage| matches!(message, WorkerMessage::Heartbeat(_));
        let before = self.count(is_beat);
        eventually("heartbeats", || (self.count(is_beat) >= before + more).then_some(())).await;
    }

    pub fn count(&self, pick: impl Fn(&WorkerMessage) -> bool) -> usize {
        self.heard.lock().unwrap().iter().filter(|message| pick(message)).count()
    }
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = Arc::new(LogStore::open(dir.path().join("m1-logs"), LogLimits::default()).unwrap());
        Home { dir, logs }
    }

    pub fn config(&self, boot: u64) -> WorkerConfig {
        config(self.dir.path(), boot)
    }

    /// A worker that is registered with a master of its own.
    pub async fn start(&self, config: WorkerConfig, epoch: u64) -> (Worker, Arc<Link>) {
        let worker = Worker::start(config).await.unwrap();
        let link = self.connect(&worker, epoch).await;
        (worker, link)
    }

    pub async fn connect(&self, worker: &Worker, epoch: u64) -> Arc<Link> {
        let link = Arc::new(Link {
            epoch: Epoch(epoch),
            session: AtomicU64::new(epoch * 100),
            nonce: AtomicU64::new(0),
            registers: Mutex::default(),
            heard: Mutex::default(),
            logs: self.logs.clone(),
            is_bulk_broken: AtomicBool::new(false),
            files: Mutex::default(),
            n_reads: AtomicU64::new(0),
            answers_heartbeats: AtomicBool::new(true),
            worker: Mutex::default(),
        });
        let as_link: Arc<dyn MasterLink> = link.clone();
        *link.worker.lock().unwrap() = Some((worker.clone(), as_link.clone()));
        worker.master_up(as_link.clone());
        eventually("the registration", || (!link.registers.lock().unwrap().is_empty()).then_some(())).await;
        let nonce = link.nonce.load(Ordering::SeqCst);
        let registered = Registered { session: link.session(), epoch: link.epoch, log_copies: 1, nonce };
        link.say(MasterMessage::Registered(registered));
        link
    }

    pub fn lines(&self, attempt: AttemptId) -> Vec<String> {
        let selection = LogSelection { start: LogStart::Line(1), limit: 1_000, grep: None, stream: None };
        let rows = self.logs.read(attempt, &selection);
        rows.map(|rows| rows.lines.into_iter().map(|line| line.text).collect()).unwrap_or_default()
    }

    pub fn spools(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("data/spool")).unwrap().count()
    }
}

pub fn config(dir: &std::path::Path, boot: u64) -> WorkerConfig {
    let data_id = format!("t{}", dir.file_name().unwrap().to_str().unwrap().trim_start_matches(".tmp"));
    let mut config = WorkerConfig::new("w1".into(), dir.join("data"), shim_program(), data_id, Boot(boot)).unwrap();
    config.own_program = env!("CARGO_BIN_EXE_ractorflow").into();
    config.conf_dir = dir.join("conf");
    config.profile = None;
    config.heartbeat_ms = 50;
    config.log_copy_ms = 20;
    config.drain_ms = 500;
    config
}

pub fn script(id: &str, code: &str) -> Assignment {
    assignment(id, element("script", None, vec![element("code", Some(code), Vec::new())]))
}

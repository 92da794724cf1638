//! A node of its own process: this test binary started again, driven by lines on its standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use ractorflow::cluster::bulk::{BulkError, BulkOffer, BulkRequest, BulkSink, BulkSource};
use ractorflow::cluster::tls::{TlsConfig, TlsFiles};
use ractorflow::cluster::{
    CallError, Cookie, DownReason, Link, LinkConfig, LinkHandler, LinkLimits, NodeIdentity, Peer, PeerAddress, Refusal,
    Role, SendError,
};
use ractorflow::model::id::Boot;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::Semaphore;
use uuid::Uuid;

const SPEC: &str = "RACTORFLOW_TEST_LINK_NODE";
const DEADLINE: Duration = Duration::from_secs(60);
const ECHO: u16 = 1;
const NUMBERED: u16 = 2;
const LAST: u16 = 3;
const HELD: u16 = 4;

#[derive(Clone, Serialize, Deserialize)]
pub struct Spec {
    pub name: String,
    pub role: Role,
    pub data_dir: Uuid,
    pub boot: u64,
    pub cookie: u8,
    /// Where the certificates are, and whose this node shows; none: nothing is encrypted.
    pub tls: Option<(PathBuf, String)>,
    pub listen: Option<SocketAddr>,
    pub dial: Vec<(String, SocketAddr)>,
    pub heartbeat_ms: u64,
    pub peer_down_ms: u64,
    pub handshake_ms_max: u64,
    pub over_budget_ms_max: u64,
}

impl Spec {
    pub fn master(name: &str) -> Self {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Spec { role: Role::Master, listen, ..Self::worker(name, None) }
    }

    pub fn worker(name: &str, master: Option<&Node>) -> Self {
        let defaults = LinkLimits::default();
        Spec {
            name: name.into(),
            role: Role::Worker,
            data_dir: Uuid::new_v4(),
            boot: 1,
            cookie: 7,
            tls: None,
            listen: None,
            dial: master.map(|master| (master.name.clone(), master.address)).into_iter().collect(),
            heartbeat_ms: defaults.heartbeat_ms,
            peer_down_ms: defaults.peer_down_ms,
            handshake_ms_max: defaults.handshake_ms_max,
            over_budget_ms_max: defaults.over_budget_ms_max,
        }
    }
}

/// The certificates of a directory, as one node uses them.
pub fn files_in(directory: &Path, node: &str) -> TlsFiles {
    TlsFiles {
        authority: directory.join("ca.pem"),
        certificate: directory.join(format!("{node}.pem")),
        key: directory.join(format!("{node}.key")),
        revoked: directory.join("revoked"),
    }
}

// ---- the test's side

pub struct Node {
    pub name: String,
    pub address: SocketAddr,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    unheard: Vec<String>,
}

impl Node {
    pub fn start(spec: &Spec) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::runs_as_a_child", "--ignored", "--nocapture"])
            .env(SPEC, serde_json::to_string(spec).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test harness may have written before it on the same line.
                if let Some((_, line)) = line.split_once('@') {
                    let _ = send.send(line.to_owned());
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = Node { name: spec.name.clone(), address, child, input, lines, unheard: Vec::new() };
        if let Some(address) = node.hear("listens ").strip_prefix("listens ") {
            node.address = address.parse().unwrap_or(node.address);
        }
        node
    }

    pub fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// The first line that begins so and was not heard yet; others wait for their turn.
    pub fn hear(&mut self, start: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.unheard.iter().position(|line| line.starts_with(start)) {
                return self.unheard.remove(at);
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.unheard.push(line),
                Err(_) => panic!("{} never said {start:?} but {:?}", self.name, self.unheard),
            }
        }
    }

    /// What was said and not heard, to see that something was not said.
    pub fn heard(&mut self) -> &[String] {
        self.unheard.extend(self.lines.try_iter());
        &self.unheard
    }

    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        let start = format!("answer {} ", command.split_whitespace().next().unwrap_or_default());
        self.hear(&start).split_off(start.len())
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- the node's side

#[test]
#[ignore = "started by the other tests as a process of its own"]
fn runs_as_a_child() {
    let Ok(spec) = std::env::var(SPEC) else { return };
    let spec: Spec = serde_json::from_str(&spec).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(spec));
}

fn say(line: &str) {
    println!("@{line}");
}

async fn run(spec: Spec) {
    let node = NodeIdentity {
        name: spec.name.as_str().into(),
        role: spec.role,
        data_dir: spec.data_dir,
        boot: Boot(spec.boot),
        machine_id: "machine".into(),
        boot_id: "boot".into(),
    };
    let limits = LinkLimits {
        heartbeat_ms: spec.heartbeat_ms,
        peer_down_ms: spec.peer_down_ms,
        handshake_ms_max: spec.handshake_ms_max,
        over_budget_ms_max: spec.over_budget_ms_max,
        ..LinkLimits::default()
    };
    let config = LinkConfig {
        node,
        listen: spec.listen,
        advertise: None,
        cookie: Cookie::new([spec.cookie; 32]).unwrap(),
        tls: spec.tls.map(|(directory, certificate)| TlsConfig {
            files: files_in(&directory, &certificate),
            is_always: true,
            desk: None,
        }),
        peers_to_dial: spec.dial.into_iter().map(|(name, address)| PeerAddress { name, address }).collect(),
        limits,
    };
    let talker = Arc::new(Talker { next: AtomicU64::new(0), gate: Semaphore::new(0), sink: Default::default() });
    let link = Link::start(config, talker.clone()).await.unwrap();
    say(&format!("listens {}", link.listen_address().map_or("nowhere".into(), |address| address.to_string())));
    let (send, mut commands) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    while let Some(command) = commands.recv().await {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        tokio::spawn(perform(link.clone(), talker.clone(), words));
    }
}

async fn perform(link: Link, talker: Arc<Talker>, words: Vec<String>) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |at: usize| words[at].parse::<usize>().unwrap();
    if words[0] == "release" {
        return talker.gate.add_permits(number(1));
    }
    let Some(peer) = link.peer(words[1]) else { return say(&format!("answer {} no such peer", words[0])) };
    let answer = match words[0] {
        "echo" => match peer.call(ECHO, vec![5; number(2)], DEADLINE).await {
            Ok(body) => format!("{} bytes", body.len()),
            Err(CallError::TooLarge { bytes_max, .. }) => format!("too large, at most {bytes_max}"),
            Err(error) => error.to_string(),
        },
        "casts" => {
            for sequence in 0..number(2) {
                let bytes = if sequence % 1000 == 999 { 700_000 } else { 16 };
                let mut body = vec![0; bytes];
                body[..8].copy_from_slice(&(sequence as u64).to_be_bytes());
                cast(&peer, if sequence + 1 == number(2) { LAST } else { NUMBERED }, &body).await;
            }
            "sent".into()
        }
        "fill" => {
            let mut refused = 0;
            loop {
                match peer.cast(HELD, vec![0; 100_000]) {
                    Ok(()) => {}
                    Err(SendError::Busy) => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Err(error) => {
                        break format!("{error:?} after {}", if refused > 0 { "being busy" } else { "nothing" });
                    }
                }
            }
        }
        "latency" => latency(&peer, number(2)).await,
        "get" => get(&link, words[1], number(2), words[3] == "cut").await,
        "put" => put(&link, words[1], number(2), words[3] == "cut").await,
        "cut" => {
            peer.cut("asked to");
            "cut".into()
        }
        other => format!("unknown command {other}"),
    };
    say(&format!("answer {} {answer}", words[0]));
}

async fn cast(peer: &Peer, kind: u16, body: &[u8]) {
    while let Err(error) = peer.cast(kind, body) {
        assert_eq!(error, SendError::Busy);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn latency(peer: &Peer, calls: usize) -> String {
    let mut micros = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        peer.call(ECHO, [0; 100], DEADLINE).await.unwrap();
        micros.push(start.elapsed().as_micros());
    }
    micros.sort_unstable();
    format!("p50 {} us, p99 {} us, max {} us", micros[calls / 2], micros[calls * 99 / 100], micros[calls - 1])
}

fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(2_654_435_761) >> 24) as u8
}

/// Reads an object, breaking the connection on the way if told to, and goes on where it stopped.
async fn get(link: &Link, peer: &str, bytes: usize, does_cut: bool) -> String {
    let (mut held, mut rounds) = (0_u64, 0);
    while held < bytes as u64 {
        rounds += 1;
        let request = BulkRequest { object: bytes.to_string(), offset: held, hash: None };
        let peer = link.peer(peer).unwrap();
        let Ok(mut download) = peer.bulk_get(request).await else { continue };
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match download.reader.read(&mut chunk).await {
                Ok(0) => break,
                Ok(read) => {
                    for (at, byte) in chunk[..read].iter().enumerate() {
                        assert_eq!(*byte, byte_at(held + at as u64));
                    }
                    held += read as u64;
                }
                Err(_) => break,
            }
            if does_cut && rounds == 1 && held > bytes as u64 / 3 {
                peer.cut_bulk();
            }
        }
    }
    format!("{held} bytes in {}", if rounds == 1 { "one go" } else { "several" })
}

async fn put(link: &Link, peer: &str, bytes: usize, does_cut: bool) -> String {
    let content: Vec<u8> = (0..bytes as u64).map(byte_at).collect();
    let (object, mut rounds) = (if does_cut { "to be cut" } else { "object" }, 0);
    loop {
        rounds += 1;
        let peer = link.peer(peer).unwrap();
        let offer = BulkOffer { object: object.into(), length: Some(bytes as u64), hash: None };
        match peer.bulk_put(offer, &mut std::io::Cursor::new(&content)).await {
            Ok(held) => return format!("{held} bytes in {}", if rounds == 1 { "one go" } else { "several" }),
            Err(BulkError::Broken) => {}
            Err(error) => return error.to_string(),
        }
    }
}

struct Talker {
    next: AtomicU64,
    gate: Semaphore,
    sink: Arc<std::sync::Mutex<Vec<u8>>>,
}

#[async_trait]
impl LinkHandler for Talker {
    fn peer_up(&self, peer: Peer) {
        say(&format!("up {} {:016x}", peer.info().wire_name(), peer.session()));
    }

    fn peer_down(&self, peer: &Peer, reason: &DownReason) {
        say(&format!("down {} {reason:?}", peer.info().wire_name()));
    }

    async fn cast(&self, _: &Peer, kind: u16, body: Bytes) {
        match kind {
            NUMBERED | LAST => {
                let sequence = u64::from_be_bytes(*body.first_chunk().unwrap());
                let expected = self.next.fetch_add(1, Ordering::Relaxed);
                if sequence != expected {
                    say(&format!("disorder: {sequence} instead of {expected}"));
                }
                if kind == LAST {
                    say(&format!("casts {}", sequence + 1));
                }
            }
            HELD => self.gate.acquire().await.unwrap().forget(),
            _ => {}
        }
    }

    async fn call(&self, _: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal> {
        if kind == ECHO { Ok(body) } else { Err(Refusal::Unsupported) }
    }

    async fn bulk_read(&self, _: &Peer, request: BulkRequest) -> Result<BulkSource, Refusal> {
        let length: u64 = request.object.parse().map_err(|_| Refusal::Refused("not a length".into()))?;
        Ok(BulkSource { reader: Box::pin(Pattern { at: request.offset, length }), length: Some(length), hash: None })
    }

    async fn bulk_write(&self, from: &Peer, offer: BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
        let length = offer.length.unwrap_or(0);
        let is_first = self.sink.lock().unwrap().is_empty();
        let cut_by = (is_first && offer.object == "to be cut").then(|| from.clone());
        Ok(Box::new(Held { held: self.sink.clone(), length, cut_by }))
    }
}

/// An object of known bytes, made as they are read.
struct Pattern {
    at: u64,
    length: u64,
}

impl AsyncRead for Pattern {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let end = self.length.min(self.at + buffer.remaining().min(16 * 1024) as u64);
        let bytes: Vec<u8> = (self.at..end).map(byte_at).collect();
        buffer.put_slice(&bytes);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

struct Held {
    held: Arc<std::sync::Mutex<Vec<u8>>>,
    length: u64,
    /// Breaks the transfer at its half.
    cut_by: Option<Peer>,
}

#[async_trait]
impl BulkSink for Held {
    fn offset(&self) -> u64 {
        self.held.lock().unwrap().len() as u64
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        let mut held = self.held.lock().unwrap();
        held.extend_from_slice(&chunk);
        if let Some(peer) = self.cut_by.take_if(|_| held.len() as u64 > self.length / 2) {
            peer.cut_bulk();
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), Refusal> {
        let held = self.held.lock().unwrap();
        let is_whole = held.len() as u64 == self.length;
        let is_right = held.iter().enumerate().all(|(at, byte)| *byte == byte_at(at as u64));
        if is_whole && is_right { Ok(()) } else { Err(Refusal::Refused("the bytes are wrong".into())) }
    }
}

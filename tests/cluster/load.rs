//! Clients that never rest: each asks, repeats under the same key until it knows, and notes what it was told.
//!
//! A switch client owns a workflow and turns it on and off, the cheapest change there is; now and then it runs one that
//! ends at once. Runners keep tasks going. A killer kills what it started.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

use crate::history::{Asked, MS, Nanos, Op, Told, now};
use crate::http::{Answer, Client};
use crate::net::Net;

/// A request without an answer is asked again after this time.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// ... and given up as unknown after this time.
const REPEAT_MAX: Nanos = 90_000 * MS;
const RUNNERS: usize = 6;
/// One in so many changes is a run.
const RUN_EVERY: u64 = 20;

#[derive(Clone)]
pub struct Door {
    pub net: Arc<Net>,
    pub host: String,
    pub port: u16,
    pub token: String,
}

impl Door {
    /// For a thread that has entered the host.
    pub fn client(&self) -> Client {
        Client::new(self.port, &self.token, ANSWER_MAX)
    }
}

#[derive(Default)]
struct Shared {
    ops: Mutex<Vec<Op>>,
    acknowledged: AtomicU64,
    /// The newest event that a client was told of.
    seq: AtomicU64,
    is_over: AtomicBool,
}

pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Name of the workflow of a switch client.
pub fn switch(client: usize) -> String {
    format!("switch{client}")
}

impl Load {
    /// `rate` changes a second in all, as long as they are answered in time, by `clients` clients.
    pub fn start(door: &Door, clients: usize, rate: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let pause = clients as u64 * 1_000_000_000 / rate.max(1);
        let spawn = |work: Box<dyn FnOnce(&mut Caller) + Send>| {
            let (door, shared) = (door.clone(), Arc::clone(&shared));
            std::thread::spawn(move || {
                if let Err(error) = door.net.enter(&door.host) {
                    return eprintln!("a client cannot enter {}: {error}", door.host);
                }
                work(&mut Caller { client: door.client(), shared: &shared });
            })
        };
        let switches = (0..clients).map(|n| spawn(Box::new(move |caller: &mut Caller| caller.switch(n, pause))));
        let mut threads: Vec<_> = switches.collect();
        threads.extend((0..RUNNERS).map(|_| spawn(Box::new(|caller: &mut Caller| caller.run_tasks()))));
        threads.push(spawn(Box::new(|caller: &mut Caller| caller.kill())));
        Self { shared, threads }
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    pub fn newest_seq(&self) -> u64 {
        self.shared.seq.load(Ordering::Relaxed)
    }

    /// Ends the load and gives what was asked and told.
    pub fn finish(mut self) -> Vec<Op> {
        self.end();
        std::mem::take(&mut *self.shared.ops())
    }

    fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a client of the load panicked");
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn ops(&self) -> MutexGuard<'_, Vec<Op>> {
        self.ops.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

struct Caller<'a> {
    client: Client,
    shared: &'a Shared,
}

impl Caller<'_> {
    fn switch(&mut self, n: usize, pause: Nanos) {
        let workflow = switch(n);
        // Not all at the same moment.
        let mut next = now() + pause * (n as u64 % 16) / 16;
        let (mut on, mut count) = (true, n as u64);
        while self.pause_until(next) {
            next = (next + pause).max(now());
            count += 1;
            if count % RUN_EVERY == 0 {
                self.run("nop");
                continue;
            }
            on = !on;
            let verb = if on { "enable" } else { "disable" };
            let path = format!("/api/v1/workflows/{workflow}:{verb}");
            self.change(Asked::Enable { workflow: workflow.clone(), on }, &path, "");
        }
    }

    fn run(&mut self, workflow: &str) -> Option<u64> {
        let path = format!("/api/v1/workflows/{workflow}:run");
        let told = self.change(Asked::Run { workflow: workflow.to_owned() }, &path, "");
        match told {
            Told::Ok { instances, .. } => instances.first().copied(),
            Told::Failed { .. } | Told::Unknown { .. } => None,
        }
    }

    fn run_tasks(&mut self) {
        while self.pause_until(now()) {
            let Some(number) = self.run("work") else { continue };
            self.await_end(number);
        }
    }

    fn await_end(&mut self, number: u64) {
        while !self.shared.is_over() {
            match self.client.get(&format!("/api/v1/instances/{number}:wait?timeout=2s")) {
                Ok(answer) if answer.is_ok() && is_terminal(&answer.body) => return,
                Ok(answer) if answer.is_ok() => {}
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Kills a task that does not want to end, and its child of another session.
    fn kill(&mut self) {
        while self.pause_until(now() + 2000 * MS) {
            let Some(instance) = self.run("doomed") else { continue };
            if self.pause_until(now() + 2000 * MS) {
                let path = format!("/api/v1/instances/{instance}:kill");
                self.change(Asked::Kill { instance }, &path, r#"{"grace":"1s"}"#);
            }
        }
    }

    /// False when the load is over.
    fn pause_until(&self, time: Nanos) -> bool {
        loop {
            if self.shared.is_over() {
                return false;
            }
            let left = time.saturating_sub(now());
            if left == 0 {
                return true;
            }
            std::thread::sleep(Duration::from_nanos(left.min(50 * MS)));
        }
    }

    /// Asks until it is known, under one key.
    fn change(&mut self, what: Asked, path: &str, body: &str) -> Told {
        let key = uuid::Uuid::now_v7().to_string();
        let invoked = now();
        // Noted before it is sent: an effect without a cause is one that nobody asked for.
        let place = {
            let mut ops = self.shared.ops();
            ops.push(Op { key: key.clone(), what, invoked, outcome: Told::Unknown { why: "under way".to_owned() } });
            ops.len() - 1
        };
        let told = loop {
            let told = told(self.client.post(path, &key, body));
            if !matches!(told, Told::Unknown { .. }) || now() > invoked + REPEAT_MAX {
                break told;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if let Told::Ok { seq, .. } = &told {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.shared.seq.fetch_max(*seq, Ordering::Relaxed);
        }
        self.shared.ops()[place].outcome = told.clone();
        told
    }
}

fn told(answer: Result<Answer, String>) -> Told {
    let at = now();
    match answer {
        Ok(answer) if answer.is_ok() => {
            let made = answer.body["changed"]["instances"].as_array().cloned().unwrap_or_default();
            let instances = made.iter().filter_map(|made| made["number"].as_u64()).collect();
            Told::Ok { at, seq: answer.body["seq"].as_u64().unwrap_or(0), instances }
        }
        Ok(answer) if (400..500).contains(&answer.status) && answer.status != 408 => {
            let detail = answer.body["detail"].as_str().unwrap_or("");
            Told::Failed { at, why: format!("{} {} {detail}", answer.status, answer.code()) }
        }
        Ok(answer) => Told::Unknown { why: format!("{} {}", answer.status, answer.code()) },
        Err(why) => Told::Unknown { why },
    }
}

pub fn is_terminal(instance: &Value) -> bool {
    matches!(instance["state"].as_str(), Some("succeeded" | "failed" | "killed"))
}

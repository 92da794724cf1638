//! A run: the rig, its load, and the rounds of faults that it goes through.

use std::time::{Duration, Instant};

use crate::history::{History, MS, Nanos, now};
use crate::ledger::{self, Ledger};
use crate::load::{Load, switch};
use crate::log;
use crate::nemesis::Fault;
use crate::rig::{MASTERS, PATIENCE, Rig, SLOTS, WORKERS};
use crate::{Options, definitions};

/// A round counts with so much going on.
const TASKS_MIN: usize = 4;
pub const WRITES_MIN: u64 = 100;
/// How long a round waits for that.
const LIVELY_MAX: Duration = Duration::from_secs(20);
/// The leader stays the same for so long before the next fault.
const SETTLED: Duration = Duration::from_millis(1500);
const KILL_MAX: Nanos = 20_000 * MS;

/// A fault, and what was going on.
#[derive(Debug, Clone)]
pub struct Round {
    pub scenario: &'static str,
    pub what: String,
    pub fault: Nanos,
    /// The leadership that was hit.
    pub epoch: u64,
    pub running: usize,
    pub rate: u64,
    /// The leader changed.
    pub is_take_over: bool,
    /// Why it does not count.
    pub excluded: Option<String>,
}

/// A time in which nobody may be elected.
#[derive(Debug, Clone)]
pub struct Calm {
    pub scenario: &'static str,
    pub what: String,
    pub from_seq: u64,
    pub to_seq: u64,
    pub seconds: u64,
}

pub struct Course {
    pub rig: Rig,
    pub load: Load,
    pub rounds: Vec<Round>,
    pub calms: Vec<Calm>,
    pub random: Random,
    ledger: Ledger,
    clients: usize,
}

impl Course {
    pub fn begin(mut rig: Rig, options: &Options) -> Result<Self, String> {
        for name in (0..options.clients).map(switch).chain(["work", "doomed", "nop"].map(str::to_owned)) {
            rig.await_some(&format!("workflow {name}"), |rig| rig.get(&format!("/api/v1/workflows/{name}")).map(drop))?;
        }
        let load = Load::start(&rig.door()?, options.clients, options.rate);
        let (random, ledger) = (Random(options.seed), Ledger::default());
        Ok(Self { rig, load, rounds: Vec::new(), calms: Vec::new(), random, ledger, clients: options.clients })
    }

    /// One fault of the leader, and back to normal. True when it counts.
    pub fn take_over(&mut self, scenario: &'static str, fault: &Fault) -> Result<bool, String> {
        let (leader, epoch, running, rate) = self.ready()?;
        let (seq, at) = (self.load.newest_seq(), now());
        fault.strike(&mut self.rig, &leader)?;
        let next = self.rig.await_some("another leader", |rig| rig.leader().filter(|next| *next != leader));
        let is_take_over = next.is_ok();
        if is_take_over {
            self.a_write(seq)?;
        }
        fault.heal(&mut self.rig, &leader)?;
        let next = next.unwrap_or_else(|_| "nobody else".to_owned());
        let what = format!("{leader} {fault}, {next} leads");
        self.note(Round { scenario, what, fault: at, epoch, running, rate, is_take_over, excluded: None })
    }

    /// Waits until one leads, all vote and enough is going on; gives leader, epoch, tasks and writes a second.
    pub fn ready(&mut self) -> Result<(String, u64, usize, u64), String> {
        loop {
            let leader = self.settled()?;
            let (running, rate) = self.lively()?;
            let Some(status) = self.rig.status() else { continue };
            if status["leader"] == leader.as_str() {
                return Ok((leader, status["epoch"].as_u64().unwrap_or(0), running, rate));
            }
        }
    }

    /// Says whether the round counts, and keeps it.
    pub fn note(&mut self, mut round: Round) -> Result<bool, String> {
        round.excluded = if round.running < TASKS_MIN {
            Some(format!("{} tasks ran, at least {TASKS_MIN} must", round.running))
        } else if round.rate < WRITES_MIN {
            Some(format!("{} writes/s, at least {WRITES_MIN} must be", round.rate))
        } else {
            None
        };
        let verdict = round.excluded.as_ref().map_or("counted".to_owned(), |why| format!("EXCLUDED: {why}"));
        eprintln!("{}: {} ({} tasks, {} writes/s): {verdict}", round.scenario, round.what, round.running, round.rate);
        let is_counted = round.excluded.is_none();
        self.rounds.push(round);
        Ok(is_counted)
    }

    /// Waits until all vote and one leads for a while.
    pub fn settled(&mut self) -> Result<String, String> {
        self.rig.await_votes(3)?;
        let (mut leader, mut since) = (String::new(), Instant::now());
        self.rig.await_some("a leader that stays", |rig| {
            let now = rig.leader()?;
            if now != leader {
                (leader, since) = (now, Instant::now());
            }
            (since.elapsed() > SETTLED).then(|| leader.clone())
        })
    }

    /// Waits until enough is going on, and gives what is; a round with less is excluded.
    pub fn lively(&mut self) -> Result<(usize, u64), String> {
        let deadline = Instant::now() + LIVELY_MAX;
        loop {
            let (begun, before) = (Instant::now(), self.load.acknowledged());
            std::thread::sleep(Duration::from_secs(1));
            let rate = (self.load.acknowledged() - before) * 1000 / begun.elapsed().as_millis().max(1) as u64;
            let running = self.running()?;
            if running >= TASKS_MIN && rate >= WRITES_MIN || Instant::now() > deadline {
                return Ok((running, rate));
            }
        }
    }

    pub fn running(&mut self) -> Result<usize, String> {
        Ok(ledger::running(self.ledger.look(&self.rig.ledger())?).len())
    }

    /// Waits for an acknowledgement of something newer.
    pub fn a_write(&mut self, seq: u64) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.load.newest_seq() <= seq {
            if Instant::now() > deadline {
                return Err(format!("waited {PATIENCE:?} for a write to be acknowledged"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Something during which nobody may be elected.
    pub fn calm(
        &mut self,
        scenario: &'static str,
        what: String,
        during: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let (begun, from_seq) = (Instant::now(), self.load.newest_seq());
        during(self)?;
        let last = self.load.newest_seq();
        self.a_write(last)?;
        let (to_seq, seconds) = (self.load.newest_seq(), begun.elapsed().as_secs());
        eprintln!("{scenario}: {what}, {seconds} s");
        self.calms.push(Calm { scenario, what, from_seq, to_seq, seconds });
        Ok(())
    }

    /// Ends the load, lets everything come to rest, stops the cluster and gathers all that is known.
    pub fn end(mut self) -> Result<(History, Vec<Round>, Vec<Calm>, Rig), String> {
        self.rig.net.mend_all()?;
        self.rig.await_votes(3)?;
        let ops = self.load.finish();
        let rig = &mut self.rig;
        let mut unfinished = Vec::new();
        // What does not end is for the checker to tell.
        let _ = rig.await_some("all instances to end", |rig| {
            let list = rig.get("/api/v1/instances?state=running,queued,paused&limit=500")?;
            unfinished = list["items"].as_array()?.iter().filter_map(|item| item["number"].as_u64()).collect();
            unfinished.is_empty().then_some(())
        });
        let enabled_at_end = (0..self.clients).filter_map(|client| {
            let name = switch(client);
            let enabled = rig.get(&format!("/api/v1/workflows/{name}"))?["summary"]["enabled"].as_bool()?;
            Some((name, enabled))
        });
        let enabled_at_end = enabled_at_end.collect();
        let lives = self.ledger.look(&rig.ledger())?.to_vec();
        let alive_at_end = lives.iter().map(|life| life.pid).filter(|pid| ledger::is_alive(*pid)).collect();
        for master in MASTERS {
            rig.must(master, "sbin/stop-cluster --now")?;
        }
        let files = MASTERS.map(|master| (master.to_owned(), rig.raft_log(master))).into();
        let (replicas, records) = log::read_all(&files)?;
        let history = History {
            ops,
            records,
            replicas,
            lives,
            enabled_at_end,
            unfinished,
            alive_at_end,
            rules: definitions::rules(),
            slots: WORKERS.iter().map(|worker| ((*worker).to_owned(), SLOTS)).collect(),
            kill_max: KILL_MAX,
            may_lose_attempts: false,
            gaps: Vec::new(),
        };
        Ok((history, self.rounds, self.calms, self.rig))
    }
}

/// SplitMix64: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound.max(1)
    }

    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

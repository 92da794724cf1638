//! Seeded simulation of the engine: virtual clocks, an unreliable network, leaders and workers that die, people
//! that change their mind; then calm, and everything must come to rest.
//!
//! `cargo test --test sim -- --seeds 5000 --json`, `-- --seed 7` replays one with a trace. Start at `world`.

mod calm;
mod definitions;
mod faults;
mod fleet;
mod ledger;
mod mail;
mod operators;
mod random;
mod report;
mod seeds;
mod store;
mod swarm;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use ractorflow::engine::invariant::Broken;

use report::{Report, Sample};
use world::World;

/// Seeds of a plain run.
const SEEDS: u64 = if cfg!(debug_assertions) { 60 } else { 1000 };
/// A plain run stops here, whatever is left.
const PLAIN_MAX: Duration = Duration::from_secs(15);
/// One seed in so many has all checks after every step.
const THOROUGH: u64 = 100;

struct Options {
    seeds: Option<u64>,
    first: u64,
    one: Option<u64>,
    is_json: bool,
    is_thorough: bool,
    /// The first failure is enough.
    is_stopping: bool,
}

/// Words that it does not know, such as a filter, are passed over.
fn options() -> Options {
    let mut options =
        Options { seeds: None, first: 1, one: None, is_json: false, is_thorough: false, is_stopping: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.is_json = true,
            "--thorough" => options.is_thorough = true,
            "--stop" => options.is_stopping = true,
            "--seeds" => options.seeds = words.next().and_then(|n| n.parse().ok()),
            "--seed" => options.one = words.next().and_then(|n| n.parse().ok()),
            "--first" => options.first = words.next().and_then(|n| n.parse().ok()).unwrap_or(1),
            _ => {}
        }
    }
    options
}

/// Runs a seed; a panic counts as a broken invariant.
fn run(world: &mut World) -> Result<(), Broken> {
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Broken { invariant: "nothing_panics", what: text.unwrap_or_default() })
    })
}

fn seed(seed: u64, is_thorough: bool) -> Result<Sample, Broken> {
    let mut world = World::new(seed, is_thorough, false);
    run(&mut world)?;
    Ok(Sample::of(&world))
}

/// The same seed again with all checks and a trace: the first step that breaks something.
fn explain(seed: u64) -> bool {
    let mut world = World::new(seed, true, true);
    let result = run(&mut world);
    for line in world.trace() {
        println!("{line}");
    }
    match result {
        Ok(()) => {
            println!("seed {seed}: nothing is broken");
            true
        }
        Err(broken) => {
            println!("seed {seed}: {broken}");
            println!("replay it with: cargo test --test sim -- --seed {seed}");
            false
        }
    }
}

fn main() -> ExitCode {
    let options = options();
    if let Some(seed) = options.one {
        return if explain(seed) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    std::panic::set_hook(Box::new(|_| ()));
    let begun = Instant::now();
    let is_plain = options.seeds.is_none() && !options.is_json;
    let n = options.seeds.unwrap_or(SEEDS);
    let named: Vec<u64> = seeds::NAMED.iter().map(|(seed, _)| *seed).collect();
    let next = AtomicU64::new(0);
    let samples = Mutex::new(Vec::new());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let is_named = (at as usize) < named.len();
                    let number = if is_named { named[at as usize] } else { at - named.len() as u64 + options.first };
                    let is_enough = options.is_stopping && !failures.lock().expect("no thread panics here").is_empty();
                    let is_late = is_plain && begun.elapsed() > PLAIN_MAX;
                    if number >= options.first + n && !is_named || is_late || is_enough {
                        break;
                    }
                    let is_thorough = is_named || options.is_thorough || number % THOROUGH == 0;
                    match seed(number, is_thorough) {
                        Ok(sample) => samples.lock().expect("no thread panics here").push(sample),
                        Err(broken) => failures.lock().expect("no thread panics here").push((number, broken)),
                    }
                }
            });
        }
    });
    let samples = samples.into_inner().expect("no thread panics here");
    let mut failures = failures.into_inner().expect("no thread panics here");
    failures.sort_by_key(|(seed, _)| *seed);
    let report = Report::of(&samples, failures.len(), begun.elapsed());
    let missing = report.missing();
    if options.is_json {
        println!("{}", report.json(&failures, &missing));
    } else {
        for (seed, broken) in failures.iter().take(20) {
            println!("seed {seed}: {broken}");
        }
        if let Some((first, _)) = failures.first() {
            explain(*first);
        }
        println!("{report}");
        println!("{} passed, {} failed", samples.len(), failures.len());
    }
    let is_enough = !options.is_json || missing.is_empty();
    if failures.is_empty() && is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

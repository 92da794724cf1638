//! Faults on a real cluster: processes on hosts of their own (network namespaces), clients that never rest, tasks that
//! write down their lives, and a checker that believes nobody. Start at `scenario`, then `course`; README.md says how to
//! run it.

mod checker;
mod clock;
mod course;
mod definitions;
mod history;
mod http;
#[path = "../fixtures/last_words.rs"]
mod last_words;
mod ledger;
mod link;
mod load;
mod log;
mod nemesis;
#[path = "../fixtures/net.rs"]
mod net;
mod report;
mod rig;
mod scenario;
mod storm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use course::Course;
use report::Report;
use rig::{Absent, Rig};

pub struct Options {
    /// Any option was given; without one only the checker is tested.
    is_run: bool,
    scenarios: Vec<String>,
    /// That count, of each scenario.
    pub rounds: usize,
    pub minutes: f64,
    pub seed: u64,
    pub clients: usize,
    pub rate: u64,
    is_json: bool,
    is_strict: bool,
    is_kept: bool,
    binaries: PathBuf,
    /// Where the homes are made.
    directory: PathBuf,
}

const USAGE: &str = "cluster [--short | --scenario NAME]… [--rounds N] [--minutes N] [--seed S] [--rate WRITES_A_SECOND] \
                     [--clients N] [--json] [--strict] [--keep] [--bin DIR] [--dir DIR]";

/// Words that do not begin with two dashes, such as a filter, are passed over.
fn options(words: &[String]) -> Result<Options, String> {
    let built = Path::new(env!("CARGO_BIN_EXE_ractorflow")).parent().map(Path::to_owned).unwrap_or_default();
    let mut options = Options {
        is_run: false,
        scenarios: Vec::new(),
        rounds: 2,
        minutes: 0.3,
        seed: 1,
        clients: 24,
        rate: 160,
        is_json: false,
        is_strict: false,
        is_kept: false,
        binaries: built,
        directory: std::env::temp_dir(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        fn number<T: std::str::FromStr>(word: &str, text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("{word} wants a number, not \"{text}\""))
        }
        match word.as_str() {
            "--short" => (options.rounds, options.minutes) = (1, 0.4),
            "--json" => options.is_json = true,
            "--strict" => options.is_strict = true,
            "--keep" => options.is_kept = true,
            "--scenario" => options.scenarios.push(value()?.clone()),
            "--rounds" => options.rounds = number(word, value()?)?,
            "--minutes" => options.minutes = number(word, value()?)?,
            "--seed" => options.seed = number(word, value()?)?,
            "--clients" => options.clients = number(word, value()?)?,
            "--rate" => options.rate = number(word, value()?)?,
            "--dir" => options.directory = PathBuf::from(value()?),
            "--bin" => options.binaries = PathBuf::from(value()?),
            other if other.starts_with("--") => return Err(format!("unknown option {other}\n{USAGE}")),
            _ => continue,
        }
        options.is_run = true;
    }
    let known: Vec<&str> = scenario::ALL.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = options.scenarios.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("unknown scenario {unknown}; there are {}", known.join(", ")));
    }
    Ok(options)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("task") => return ledger::task(&words[1..]),
        Some("burn") => burn(),
        Some("log") => {
            return log::show(&words[1..]).map_or_else(
                |why| {
                    eprintln!("{why}");
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            );
        }
        Some("reap") => return rig::reap(&words[1..]),
        _ => {}
    }
    let options = match options(&words) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match checker::doctored::self_test() {
        Ok(count) => eprintln!("checker: a sound history passes, {count} doctored ones are found out"),
        Err(missed) => {
            missed.iter().for_each(|missed| eprintln!("checker: {missed}"));
            return ExitCode::FAILURE;
        }
    }
    if !options.is_run {
        eprintln!("no cluster is started without an option: {USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(report) if options.is_json => {
            println!("{:#}", report.json());
            ending(&report)
        }
        Ok(report) => {
            report.print();
            ending(&report)
        }
        Err(Absent::Skipped(why)) => {
            println!("skipped: no network namespaces here: {why}");
            ExitCode::SUCCESS
        }
        Err(Absent::Failed(why)) => {
            eprintln!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn ending(report: &Report) -> ExitCode {
    if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Result<Report, Absent> {
    let program = std::env::current_exe().map_err(|error| Absent::Failed(error.to_string()))?;
    let begun = load_average();
    let definitions = |ledger: &Path| definitions::files(&program, ledger, options.clients);
    let rig = Rig::up(&options.binaries, &options.directory, definitions, options.is_kept)?;
    eprintln!("six hosts are up, in {}", options.directory.display());
    let mut course = Course::begin(rig, options).map_err(Absent::Failed)?;
    let played = scenario::play(&mut course, options, &options.scenarios);
    let ended = played.and_then(|()| course.end());
    let (history, rounds, calms, rig) = ended.map_err(Absent::Failed)?;
    let mut report = Report::of(history, rounds, calms, options.is_strict);
    report.seed = options.seed;
    report.binaries = options.binaries.display().to_string();
    report.load = (begun, load_average());
    drop(rig);
    Ok(report)
}

/// Never rests; ends when its parent kills it, or when its parent is no more.
fn burn() -> ! {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    loop {
        std::hint::spin_loop();
    }
}

/// Of the last minute.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

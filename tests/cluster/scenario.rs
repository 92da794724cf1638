//! The scenarios by name.

use std::time::{Duration, Instant};

use crate::Options;
use crate::clock;
use crate::course::{Course, Round};
use crate::history::now;
use crate::nemesis::{Fault, Way};
use crate::rig::{HOSTS, MASTERS};
use crate::storm;

type Play = fn(&mut Course, &Options) -> Result<(), String>;

pub const ALL: &[(&str, Play)] = &[
    ("leader_killed", |course, options| rounds(course, options, "leader_killed", &[Fault::Kill])),
    ("leader_stopped", |course, options| rounds(course, options, "leader_stopped", &[Fault::Stop])),
    ("leader_cut_off", |course, options| rounds(course, options, "leader_cut_off", &Way::ALL.map(Fault::CutOff))),
    ("switch_over", |course, options| rounds(course, options, "switch_over", &[Fault::SwitchOver])),
    ("standby_stopped", standby_stopped),
    ("one_way_cuts_of_a_standby", one_way_cuts_of_a_standby),
    ("loaded", loaded),
    ("clock_jump", clock::jump),
    ("restarts_in_every_order", restarts_in_every_order),
    ("mixed", storm::mixed),
];

/// What the design allows from the fault to the next commit and to the next task, in milliseconds.
pub fn bounds(scenario: &str) -> (u64, u64) {
    match scenario {
        "leader_killed" => (3000, 5000),
        "leader_stopped" | "leader_cut_off" => (3000, 8000),
        "switch_over" => (300, 5000),
        _ => (90_000, 90_000),
    }
}

/// A round of it in which the leader did not change is a failure.
pub fn is_take_over(scenario: &str) -> bool {
    matches!(scenario, "leader_killed" | "leader_stopped" | "leader_cut_off" | "switch_over")
}

/// Those that are named, or all.
pub fn play(course: &mut Course, options: &Options, names: &[String]) -> Result<(), String> {
    for (name, play) in ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let begun = Instant::now();
        let played = play(course, options);
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
        played.map_err(|why| format!("{name}: {why}\n{}", course.rig.last_words()))?;
    }
    Ok(())
}

/// Until enough rounds count, or too many did not.
fn rounds(course: &mut Course, options: &Options, scenario: &'static str, faults: &[Fault]) -> Result<(), String> {
    let (mut counted, mut excluded) = (0, 0);
    let wanted = options.rounds.max(faults.len());
    for fault in faults.iter().cycle() {
        if counted >= wanted || excluded > wanted {
            break;
        }
        match course.take_over(scenario, fault)? {
            true => counted += 1,
            false => excluded += 1,
        }
    }
    Ok(())
}

/// How long a standby is away in one round: longer than any election takes.
const AWAY: Duration = Duration::from_secs(5);
const AWAY_ROUNDS: usize = 12;

fn standby_stopped(course: &mut Course, options: &Options) -> Result<(), String> {
    for _ in 0..options.rounds.min(AWAY_ROUNDS) {
        away(course, "standby_stopped", &Fault::Stop)?;
    }
    Ok(())
}

fn one_way_cuts_of_a_standby(course: &mut Course, options: &Options) -> Result<(), String> {
    for round in 0..options.rounds.clamp(2, AWAY_ROUNDS) {
        let way = if round % 2 == 0 { Way::Out } else { Way::In };
        if round % 4 < 1 || round % 4 > 2 {
            away(course, "one_way_cuts_of_a_standby", &Fault::CutOff(way))?;
        } else {
            let leader = course.settled()?;
            away(course, "one_way_cuts_of_a_standby", &Fault::CutFrom(leader, way))?;
        }
    }
    Ok(())
}

/// A standby is away and comes back: nobody may be elected, neither then nor afterwards.
fn away(course: &mut Course, scenario: &'static str, fault: &Fault) -> Result<(), String> {
    let leader = course.settled()?;
    let standbys: Vec<&str> = MASTERS.into_iter().filter(|master| *master != leader).collect();
    let standby = *course.random.choose(&standbys);
    course.calm(scenario, format!("{standby} {fault}, {leader} leads"), |course| {
        fault.strike(&mut course.rig, standby)?;
        std::thread::sleep(AWAY);
        fault.heal(&mut course.rig, standby)?;
        course.rig.await_votes(3)?;
        // What it would do wrong on its return it does now.
        std::thread::sleep(AWAY / 2);
        Ok(())
    })
}

/// So many processes that never rest: the load average of a machine that has far too much to do.
const BUSY: usize = 20;

fn loaded(course: &mut Course, options: &Options) -> Result<(), String> {
    course.settled()?;
    course.calm("loaded", format!("{BUSY} busy processes"), |_| {
        let _busy = (0..BUSY).map(|_| Busy::start()).collect::<Result<Vec<_>, _>>()?;
        std::thread::sleep(Duration::from_secs_f64(options.minutes * 60.0));
        Ok(())
    })
}

struct Busy(std::process::Child);

impl Busy {
    fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = std::process::Command::new(program).arg("burn").stdin(std::process::Stdio::piped()).spawn();
        child.map(Self).map_err(|error| format!("a busy process: {error}"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything is killed at once; then the hosts come back in one order after the other.
fn restarts_in_every_order(course: &mut Course, options: &Options) -> Result<(), String> {
    const SCENARIO: &str = "restarts_in_every_order";
    for order in orders(options.rounds, &mut course.random) {
        let (_, epoch, running, rate) = course.ready()?;
        let (fault, seq) = (now(), course.load.newest_seq());
        for host in HOSTS {
            course.rig.kill_for_good(host)?;
        }
        for host in &order {
            course.rig.start_later(host, &[])?;
        }
        course.rig.await_votes(3)?;
        course.a_write(seq)?;
        let what = format!("all killed, started in the order {}", order.join(" "));
        let round = Round { scenario: SCENARIO, what, fault, epoch, running, rate, is_take_over: true, excluded: None };
        course.note(round)?;
    }
    Ok(())
}

const ORDERS_MAX: usize = 24;

/// All orders of the roles (masters in all of theirs), or as many as are wanted, drawn by chance.
fn orders(wanted: usize, random: &mut crate::course::Random) -> Vec<Vec<&'static str>> {
    let mut orders: Vec<Vec<&'static str>> = vec![Vec::new()];
    for group in [&MASTERS[..], &["w1 w2"], &["h1"]] {
        for host in group {
            let longer = |order: &Vec<&'static str>| {
                let order = order.clone();
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, *host);
                    longer
                })
            };
            orders = orders.iter().flat_map(longer).collect();
        }
    }
    let both = |order: Vec<&'static str>| order.iter().flat_map(|host| host.split(' ')).collect();
    let mut orders: Vec<Vec<&'static str>> = orders.into_iter().map(both).collect();
    while orders.len() > wanted.clamp(1, ORDERS_MAX) {
        orders.swap_remove(random.below(orders.len() as u64) as usize);
    }
    orders
}

//! Random faults, one or two at a time, by the seed.

use std::time::{Duration, Instant};

use crate::Options;
use crate::course::{Course, Random, Round};
use crate::history::now;
use crate::link::{BadLink, Quality};
use crate::nemesis::{Fault, Way};
use crate::rig::{HOSTS, MASTERS};

/// Until the time is over.
pub fn mixed(course: &mut Course, options: &Options) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    while Instant::now() < end {
        let (leader, epoch, running, rate) = course.ready()?;
        let (fault, seq) = (now(), course.load.newest_seq());
        let n_faults = 1 + course.random.below(2);
        let mut struck: Vec<(&str, Fault)> = Vec::new();
        let mut bad = None;
        let mut words = Vec::new();
        for _ in 0..n_faults {
            let victim = *course.random.choose(&HOSTS);
            if struck.iter().any(|(other, _)| *other == victim) {
                continue;
            }
            if bad.is_none() && course.random.below(4) == 0 {
                let quality = Quality {
                    loss_percent: course.random.below(30),
                    delay_ms: course.random.below(150),
                    jitter_ms: course.random.below(60),
                };
                let seed = course.random.below(u64::MAX);
                bad = Some(BadLink::new(&course.rig.net, victim, quality, seed)?);
                words.push(format!("{victim}: {quality}"));
                continue;
            }
            let fault = draw(&mut course.random, victim);
            fault.strike(&mut course.rig, victim)?;
            words.push(format!("{victim} {fault}"));
            struck.push((victim, fault));
        }
        std::thread::sleep(Duration::from_millis(300 + course.random.below(5000)));
        drop(bad);
        // Who is started waits for the others, so they come first.
        struck.sort_by_key(|(_, fault)| *fault == Fault::Kill);
        for (victim, fault) in &struck {
            fault.heal(&mut course.rig, victim)?;
        }
        course.rig.await_votes(3)?;
        course.a_write(seq)?;
        let next = course.rig.leader();
        let is_take_over = next.is_some_and(|next| next != leader);
        let what = format!("{}, {leader} led", words.join("; "));
        course.note(Round { scenario: "mixed", what, fault, epoch, running, rate, is_take_over, excluded: None })?;
    }
    Ok(())
}

fn draw(random: &mut Random, victim: &str) -> Fault {
    let way = *random.choose(&Way::ALL);
    match random.below(6) {
        0 => Fault::Kill,
        1 => Fault::Crash,
        2 => Fault::Stop,
        3 => Fault::CutOff(way),
        4 => {
            let others: Vec<&str> = MASTERS.into_iter().filter(|master| *master != victim).collect();
            Fault::CutFrom((*random.choose(&others)).to_owned(), way)
        }
        _ => Fault::SwitchOver,
    }
}

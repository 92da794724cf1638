//! Which faults and commands a seed has, and how often: each is on in some seeds only, so that none hides another.

use crate::random::Random;

/// Chances are per thousand of what they are about.
#[derive(Debug, Clone)]
pub struct Swarm {
    pub workers: usize,
    pub workflows: usize,
    /// Length of the time with faults.
    pub minutes: i64,
    // network
    pub drops: u64,
    pub duplicates: u64,
    pub reorders: u64,
    /// Messages that are under way for up to a minute.
    pub stalls: u64,
    // leaderships
    pub takeovers: bool,
    pub late_entries: bool,
    pub slow_commits: bool,
    pub reloads: bool,
    pub clock_jumps: bool,
    /// A leader's engine is made anew within its leadership.
    pub remakes: bool,
    /// Several voters: attempts have leases.
    pub leases: bool,
    // workers
    pub daemon_crashes: bool,
    pub reboots: bool,
    pub silences: bool,
    /// Links that work in one direction alone, and that slowly.
    pub one_way: bool,
    /// Daemons that are stopped and go on later as if nothing had been.
    pub stops: bool,
    pub declares: bool,
    pub unproven: u64,
    pub declines: u64,
    pub infrastructure: u64,
    pub failures: u64,
    /// Tasks that only a kill ends; and the first kill of each is lost, though its link holds.
    pub endless: u64,
    /// Nodes with a timeout.
    pub timeouts: u64,
    // commands
    pub kills: bool,
    pub reruns: bool,
    pub pauses: bool,
    pub marks: bool,
    pub switches: bool,
    pub edits: bool,
    pub deletions: bool,
    pub drains: bool,
    pub triggers: bool,
    pub prerequisites: bool,
    /// Milliseconds between two commands of operators.
    pub pace: i64,
    /// Milliseconds between two faults.
    pub peace: i64,
}

impl Swarm {
    pub fn of(random: &mut Random) -> Self {
        let coin = |random: &mut Random| random.chance(600);
        let rate = |random: &mut Random, most: i64| if random.chance(600) { random.span(1, most) as u64 } else { 0 };
        Self {
            workers: random.range(1, 4) as usize,
            workflows: random.range(2, 6) as usize,
            minutes: random.range(4, 12),
            drops: rate(random, 150),
            duplicates: rate(random, 200),
            reorders: rate(random, 300),
            stalls: rate(random, 30),
            takeovers: coin(random),
            late_entries: coin(random),
            slow_commits: coin(random),
            reloads: coin(random),
            clock_jumps: random.chance(300),
            remakes: coin(random),
            leases: random.chance(700),
            daemon_crashes: coin(random),
            reboots: coin(random),
            silences: coin(random),
            one_way: coin(random),
            stops: coin(random),
            declares: coin(random),
            unproven: rate(random, 60),
            declines: rate(random, 100),
            infrastructure: rate(random, 60),
            failures: rate(random, 250),
            endless: rate(random, 20),
            timeouts: *random.pick(&[80, 80, 500]),
            kills: coin(random),
            reruns: random.chance(800),
            pauses: coin(random),
            marks: coin(random),
            switches: coin(random),
            edits: coin(random),
            deletions: coin(random),
            drains: coin(random),
            triggers: random.chance(800),
            prerequisites: coin(random),
            pace: random.range(6_000, 20_000),
            peace: random.range(10_000, 90_000),
        }
    }
}

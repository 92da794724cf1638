//! Fires against a brute-force scan, against an independent crate, and the small languages by example.

mod cron;
mod dates;
mod fires;
mod oracle;
mod sentences;

use super::*;
use crate::model::duration::Millis;
use crate::model::id::TriggerId;
use crate::model::policy::{DstFold, DstGap};
use crate::model::time::Timestamp;
use crate::model::trigger::{Trigger, TriggerSource, Window};

pub(super) fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

pub(super) fn trigger(source: TriggerSource) -> Trigger {
    Trigger {
        id: TriggerId::from("t"),
        source,
        window: Window::default(),
        zone: None,
        dst_gap: DstGap::RunAfter,
        dst_fold: DstFold::First,
        jitter: Millis(0),
        params: Vec::new(),
    }
}

pub(super) fn cron(text: &str) -> Trigger {
    let cron = Cron::parse(text, true).unwrap_or_else(|error| panic!("{text}: {error}")).0;
    trigger(TriggerSource::Cron { cron, seconds: vec![0] })
}

/// The instant of a wall time that exists once.
pub(super) fn at(zone: &Zone, text: &str) -> Timestamp {
    zone.instant(parse_datetime(text).unwrap())
}

/// The next `n` fires as wall times with offset.
pub(super) fn walls(trigger: &Trigger, zone: &Zone, after: &str, n: usize) -> Vec<String> {
    let mut after = at(zone, after);
    let mut walls = Vec::new();
    while walls.len() < n {
        let Some(fire) = next_fire(trigger, zone, after) else { break };
        walls.push(zone.at(fire).format("%Y-%m-%d %H:%M:%S%:z").to_string());
        after = fire;
    }
    walls
}

/// Numbers that are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        crate::model::hash::fixed(&[&self.0.to_le_bytes()]) % n
    }

    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A random legal field of cron without `L` and `#`.
    pub fn field(&mut self, min: u64, max: u64) -> String {
        let item = |dice: &mut Self| {
            let (a, b) = (dice.range(min, max), dice.range(min, max));
            match dice.below(3) {
                0 => format!("{}-{}", a.min(b), a.max(b)),
                1 => format!("{}-{}/{}", a.min(b), a.max(b), dice.range(1, max - min)),
                _ => a.to_string(),
            }
        };
        match self.below(8) {
            0..=2 => "*".to_owned(),
            3 => format!("*/{}", self.range(1, max - min)),
            4 => format!("{},{}", item(self), item(self)),
            _ => item(self),
        }
    }

    pub fn line(&mut self) -> String {
        let fields = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)].map(|(min, max)| self.field(min, max));
        fields.join(" ")
    }
}

//! What breaks, one thing at a time, while the faults last.

use ractorflow::engine::Command;

use crate::Broken;
use crate::fleet::Doing;
use crate::world::{Happening, World};

impl World {
    pub fn fault(&mut self) -> Result<(), Broken> {
        if self.is_calm {
            return Ok(());
        }
        let peace = self.swarm.peace;
        let ms = self.random.range(1, 2 * peace);
        self.after(ms, Happening::Fault);
        let at = self.random.below(self.workers.len());
        match self.random.below(7) {
            0 if self.swarm.takeovers && self.leader.is_some() => return self.take_over(None),
            1 => self.is_cut_due = self.swarm.takeovers,
            2 if self.swarm.daemon_crashes && self.workers[at].is_running => {
                self.note(|| format!("the daemon of w{at} crashes"));
                self.counts.daemon_crashes += 1;
                self.workers[at].crash();
                let ms = self.random.span(50, 60_000);
                self.after(ms, Happening::Worker { worker: at, doing: Doing::DaemonUp });
            }
            3 if self.swarm.reboots => {
                self.power_off(at);
                let ms = self.random.span(1000, 120_000);
                self.after(ms, Happening::Worker { worker: at, doing: Doing::PowerOn });
            }
            4 if self.swarm.silences => {
                let ms = self.random.range(1000, 120_000);
                self.workers[at].cut_until = self.mono + ms;
                self.cut(at);
            }
            5 if self.swarm.declares && !self.workers[at].is_held => {
                self.power_off(at);
                self.workers[at].is_held = true;
                let worker = self.workers[at].name.clone();
                let command = Command::DeclareWorkerDead { worker, why: "its plug is pulled".to_owned() };
                let ms = self.random.range(1000, 60_000);
                self.ask_for(command, ms, Some(at));
                self.after(1000, Happening::Worker { worker: at, doing: Doing::PowerOn });
            }
            6 if self.swarm.clock_jumps => {
                let by = self.random.span(1000, 4 * 3_600_000);
                self.skew += if self.random.chance(500) { by } else { -by };
                self.note(|| format!("the wall clock jumps by up to {by} ms"));
                self.rearm();
            }
            _ => {}
        }
        Ok(())
    }

    fn power_off(&mut self, at: usize) {
        if !self.workers[at].is_machine_up {
            return;
        }
        self.note(|| format!("the machine of w{at} loses power"));
        self.counts.machine_losses += 1;
        for attempt in self.workers[at].power_off(&mut self.random) {
            self.ledger.exit(attempt, None);
        }
    }
}

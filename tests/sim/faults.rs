//! What breaks, one thing at a time, while the faults last.

use ractorflow::engine::{Command, Envelope};

use crate::Broken;
use crate::fleet::Doing;
use crate::world::{Happening, Origin, World};

impl World {
    pub fn fault(&mut self) -> Result<(), Broken> {
        if self.is_calm {
            return Ok(());
        }
        let peace = self.swarm.peace;
        let ms = self.random.range(1, 2 * peace);
        self.after(ms, Happening::Fault);
        let at = self.random.below(self.workers.len());
        match self.random.below(10) {
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
            7 if self.swarm.stops && self.workers[at].is_running && self.workers[at].stopped_until <= self.mono => {
                self.stop(at);
            }
            8 if self.swarm.remakes => self.remake(),
            9 if self.swarm.one_way => {
                // The last answers come late, and then the worker is not heard any more.
                let by = self.random.range(5_000, 40_000);
                let begin = self.mono + 2_500;
                let end = begin + by + self.random.range(0, 60_000);
                self.note(|| format!("what w{at} hears is {by} ms late, and what it says is lost"));
                self.workers[at].slow = (begin, by);
                self.workers[at].mute = (begin, end);
            }
            _ => {}
        }
        Ok(())
    }

    /// The daemon is stopped and goes on later. Its leader takes the link for broken; itself it hears of that only
    /// after everything that has waited for it meanwhile.
    pub fn stop(&mut self, at: usize) {
        let ms = self.random.span(500, 90_000);
        self.note(|| format!("the daemon of w{at} is stopped for {ms} ms"));
        self.counts.stops += 1;
        self.workers[at].stopped_until = self.mono + ms;
        let Some(session) = self.workers[at].session.filter(|_| ms > 3000) else { return };
        let worker = self.workers[at].name.clone();
        let envelope = Box::new(Envelope::internal(Command::WorkerUnlinked { worker, session }));
        let number = self.number();
        self.after(3000, Happening::ToLeader { envelope, origin: Origin::Nobody, number });
        let ms = ms + self.random.range(10, 3000);
        self.after(ms, Happening::Worker { worker: at, doing: Doing::Unlink { session } });
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

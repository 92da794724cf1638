//! Epoch and base rules until `State::apply_record` is there; removed with it.

use crate::engine::entry::Applied;
use crate::engine::state::Leader;
use crate::engine::{LogRecord, State};
use crate::model::id::Seq;
pub trait Shim {
    fn apply_record(&mut self, term: u64, record: &LogRecord) -> Applied;
}
impl Shim for State {
    fn apply_record(&mut self, term: u64, record: &LogRecord) -> Applied {
        match record {
            LogRecord::TakeOver(t) => {
                if t.term != term || t.epoch != self.cluster.epoch.next() {
                    return Applied::Skipped("takeover");
                }
                self.cluster.epoch = t.epoch;
                self.cluster.leader = Some(Leader { node: t.node, boot: t.boot, term });
                Applied::Applied
            }
            LogRecord::Events(e) => {
                if e.epoch != self.cluster.epoch || e.base_seq != self.cluster.seq {
                    return Applied::Skipped("base");
                }
                self.cluster.seq = Seq(self.cluster.seq.0 + e.events.len() as u64);
                Applied::Applied
            }
        }
    }
}

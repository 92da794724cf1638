//! The level of events that the log may hold: raised by a person, when every voter can read it.

use std::collections::BTreeMap;

use crate::model::feature::FEATURE_LEVEL;
use crate::model::id::MasterId;
use crate::model::message::Value;
use crate::say;

use super::command::{Rejected, Reply};
use super::engine::Step;
use super::event::EventKind;

impl EventKind {
    /// The level from which on it may be written. What raises the level is read by every build.
    pub fn level(&self) -> u32 {
        match self {
            EventKind::FeatureLevelRaised { .. } => 0,
            _ => 1,
        }
    }
}

impl Step<'_> {
    /// `announced`: what each voter says that it knows; `None` says nothing, because it is not connected.
    pub(super) fn finalize_upgrade(&mut self, announced: &BTreeMap<MasterId, Option<u32>>) -> Result<Reply, Rejected> {
        let current = self.state.cluster.feature_level;
        let names = |of: &dyn Fn(Option<u32>) -> bool| {
            let named = announced.iter().filter(|(_, level)| of(**level)).map(|(voter, _)| format!("m{voter}"));
            named.collect::<Vec<_>>()
        };
        let silent = names(&|level| level.is_none());
        if !silent.is_empty() {
            let message = say!("nobody knows what {} can read: not connected", Value::list(silent));
            return Err(Rejected::conflict_hint(message, say!("start it, or `ractorflow cluster member remove` it")));
        }
        let known = announced.values().flatten().copied().chain([FEATURE_LEVEL]);
        let level = known.clone().min().unwrap_or(FEATURE_LEVEL);
        if level > current {
            self.emit(EventKind::FeatureLevelRaised { level });
            return Ok(Reply::Done);
        }
        if known.max() > Some(level) {
            let old = names(&|known| known == Some(level));
            let message = say!("{} can read feature level {} only, which is in force already", Value::list(old), level);
            return Err(Rejected::conflict_hint(message, say!("upgrade it first")));
        }
        Ok(Reply::Unchanged)
    }
}

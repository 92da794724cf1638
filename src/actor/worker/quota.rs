//! Which spools go when a worker keeps too much output. No clock, no I/O.
//!
//! First the bound of each workflow: the oldest of its ended attempts, but none of an instance that still runs here,
//! so that nobody loses the log of what is going on because others wrote much. Then the bound of the worker, which
//! spares only what is being written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::model::id::InstanceNumber;

/// The output of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    /// What its workflow is known by; `None`: an earlier release did not say.
    pub workflow: Option<String>,
    pub instance: InstanceNumber,
    pub is_ended: bool,
    /// Last change.
    pub changed: Option<SystemTime>,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub workflow: u64,
    pub worker: u64,
}

/// Names of the spools that must go, oldest first, and what is kept then.
pub fn beyond(mut kept: Vec<Kept>, bounds: Bounds) -> (Vec<String>, u64) {
    kept.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
    let running: BTreeSet<InstanceNumber> =
        kept.iter().filter(|spool| !spool.is_ended).map(|spool| spool.instance).collect();
    let mut of_workflow: BTreeMap<&str, u64> = BTreeMap::new();
    for spool in &kept {
        if let Some(workflow) = &spool.workflow {
            *of_workflow.entry(workflow).or_default() += spool.bytes;
        }
    }
    let mut total: u64 = kept.iter().map(|spool| spool.bytes).sum();
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    for (at, spool) in kept.iter().enumerate() {
        let Some(bytes) = spool.workflow.as_deref().and_then(|workflow| of_workflow.get_mut(workflow)) else {
            continue;
        };
        if spool.is_ended && !running.contains(&spool.instance) && *bytes > bounds.workflow {
            *bytes -= spool.bytes;
            total -= spool.bytes;
            gone.insert(at);
        }
    }
    for (at, spool) in kept.iter().enumerate() {
        if total <= bounds.worker {
            break;
        }
        if spool.is_ended && gone.insert(at) {
            total -= spool.bytes;
        }
    }
    (gone.into_iter().map(|at| kept[at].name.clone()).collect(), total)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spool(name: &str, workflow: &str, instance: u64, is_ended: bool, bytes: u64) -> Kept {
        let age = name.bytes().map(u64::from).sum();
        Kept {
            name: name.to_owned(),
            workflow: (!workflow.is_empty()).then(|| workflow.to_owned()),
            instance: InstanceNumber(instance),
            is_ended,
            changed: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(age)),
            bytes,
        }
    }

    fn gone(kept: &[Kept], workflow: u64, worker: u64) -> String {
        let (names, left) = beyond(kept.to_vec(), Bounds { workflow, worker });
        let all: u64 = kept.iter().filter(|spool| !names.contains(&spool.name)).map(|spool| spool.bytes).sum();
        assert_eq!(left, all);
        names.concat()
    }

    #[test]
    fn of_a_workflow_the_oldest_go_and_others_keep_what_they_have() {
        let kept = [
            spool("c", "w", 3, true, 40),
            spool("a", "w", 1, true, 40),
            spool("b", "x", 2, true, 90),
            spool("d", "w", 4, true, 40),
        ];
        assert_eq!(gone(&kept, 120, 1000), "");
        assert_eq!(gone(&kept, 100, 1000), "a");
        assert_eq!(gone(&kept, 50, 1000), "abc", "x is over its bound too");
    }

    #[test]
    fn a_running_instance_keeps_its_logs_whatever_others_of_its_workflow_wrote() {
        let kept = [
            spool("a", "w", 7, true, 40),
            spool("b", "w", 7, false, 40),
            spool("c", "w", 8, true, 40),
            spool("d", "w", 9, true, 40),
        ];
        assert_eq!(gone(&kept, 100, 1000), "cd");
        assert_eq!(gone(&kept, 10, 1000), "cd", "more is not there to go");
        // The bound of the worker spares only what is being written.
        assert_eq!(gone(&kept, 1000, 120), "a");
        assert_eq!(gone(&kept, 1000, 0), "acd");
        assert_eq!(gone(&kept, 100, 60), "acd");
    }

    #[test]
    fn spools_of_an_unknown_workflow_count_for_the_worker_alone() {
        let kept = [spool("a", "", 1, true, 50), spool("b", "", 2, true, 50)];
        assert_eq!(gone(&kept, 10, 100), "");
        assert_eq!(gone(&kept, 10, 60), "a");
    }
}

//! The ledger: what the tasks themselves write about their lives, and the checks on it.
//!
//! Each task appends one short line per event in a single write, which local file systems keep whole. The
//! checker trusts only these lines, never what the cluster says about itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Shell text of a task that lives for `seconds` and writes its life into `ledger`.
pub fn task(ledger: &Path, seconds: &str) -> String {
    let ledger = ledger.display();
    format!(
        "say() {{ echo \"$(cut -d' ' -f1 /proc/uptime) $1 $RF_INSTANCE $RF_NODE $RF_ATTEMPT $$\" >> {ledger}; }}\n\
         say start\nsleep {seconds}\nsay exit"
    )
}

#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    pub instance: String,
    pub node: String,
    pub attempt: String,
    pub pid: u32,
    pub start: f64,
    pub exit: Option<f64>,
}

pub fn lives(ledger: &Path) -> Vec<Life> {
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    for line in fs::read_to_string(ledger).unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [at, event, instance, node, attempt, pid] = fields[..] else { panic!("torn ledger line: {line:?}") };
        let at: f64 = at.parse().expect("seconds since boot");
        let key = format!("{instance} {node} {attempt} {pid}");
        match event {
            "start" => {
                let life = Life {
                    instance: instance.into(),
                    node: node.into(),
                    attempt: attempt.into(),
                    pid: pid.parse().expect("a pid"),
                    start: at,
                    exit: None,
                };
                assert!(lives.insert(key, life).is_none(), "started twice: {line}");
            }
            "exit" => lives.get_mut(&key).unwrap_or_else(|| panic!("exit without start: {line}")).exit = Some(at),
            other => panic!("unknown ledger event {other:?}"),
        }
    }
    lives.into_values().collect()
}

/// Panics when two attempts of one node were alive at once (invariant I1), and returns how many lives there were.
pub fn check_one_live_attempt(lives: &[Life]) -> usize {
    let mut by_node: BTreeMap<(&str, &str), Vec<&Life>> = BTreeMap::new();
    for life in lives {
        by_node.entry((&life.instance, &life.node)).or_default().push(life);
    }
    for ((instance, node), mut lives) in by_node {
        lives.sort_by(|a, b| a.start.total_cmp(&b.start));
        for pair in lives.windows(2) {
            let end = pair[0].exit.unwrap_or(f64::INFINITY);
            assert!(end <= pair[1].start, "two live attempts of #{instance}/{node}: {pair:?}");
        }
    }
    lives.len()
}

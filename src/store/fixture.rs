//! Rows for tests.

use crate::engine::event::NodeRef;
use crate::engine::state::{
    Fire, FireSkip, FireState, GenerationHead, Instance, InstanceEnd, InstanceState, Marks, Node, NodeState, Phase,
    RerunPlan,
};
use crate::model::id::{Generation, InstanceNumber, NodeIndex, Principal, TriggerId, VersionNumber, WorkflowName};
use crate::model::schedule::Zone;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Kind, Occurrence};

/// Created at `number` minutes, ended (unless it runs) a minute later.
pub fn instance(number: u64, workflow: &str, end: Option<InstanceEnd>) -> Instance {
    let created = Timestamp(number as i64 * 60_000);
    let finished = created.plus_ms(60_000);
    let generation = GenerationHead {
        number: Generation(1),
        version: VersionNumber(1),
        plan: RerunPlan::All,
        by: Principal::from("schedule"),
        opened: created,
        started: Some(created),
        finished: end.map(|_| finished),
        end,
        reason: None,
        outputs: Vec::new(),
    };
    Instance {
        number: InstanceNumber(number),
        id: uuid::Uuid::from_u128(u128::from(number)),
        workflow: WorkflowName::from(workflow),
        kind: if number.is_multiple_of(10) { Kind::Run } else { Kind::Scheduled },
        fire: None,
        trigger: None,
        parent: None,
        closure: None,
        affects: true,
        nominal: created,
        due: created,
        business_date: CivilDate(1),
        zone: crate::model::schedule::Zone::UTC,
        params: Vec::new(),
        prerequisite_outputs: Vec::new(),
        skipped: Vec::new(),
        is_beyond_limit: false,
        priority: 0,
        by: Principal::from("user:li"),
        request: Some(format!("key-{number}")),
        note: None,
        created,
        state: match end {
            Some(end) => InstanceState::Done { end, at: finished, reason: None },
            None => InstanceState::Running { since: created },
        },
        phase: Phase::Main,
        marks: Marks::default(),
        verdict: None,
        generations: vec![generation],
        outputs: Vec::new(),
        is_resting: false,
    }
}

pub fn node(instance: u64, node: u32) -> Node {
    let id = NodeRef { instance: InstanceNumber(instance), generation: Generation(1), node: NodeIndex(node) };
    let at = Timestamp(instance as i64 * 60_000);
    Node {
        id,
        state: NodeState::Queued { since: at },
        ready: at,
        inputs: Vec::new(),
        policy: None,
        attempts: Vec::new(),
        failures: 0,
        losses: 0,
        deadline: None,
        stop: None,
        outputs: Vec::new(),
        edges: Vec::new(),
    }
}

/// A settled fire of a workflow, not yet at rest.
pub fn fire(workflow: &str, nominal: i64) -> Fire {
    let at = Timestamp(nominal);
    Fire {
        key: FireKey {
            workflow: WorkflowName::from(workflow),
            trigger: TriggerId::from("cron"),
            occurrence: Occurrence::Nominal(at),
        },
        nominal: at,
        due: at,
        business_date: CivilDate(1),
        zone: Zone::UTC,
        placed: at,
        unmet: Vec::new(),
        state: FireState::Skipped { reason: FireSkip::Overlap, at },
        is_resting: false,
    }
}

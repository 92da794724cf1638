//! Random commands in random order, with invariants after each; then calm, in which everything must end.

use crate::model::assignment::OutcomeClass;
use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{AttemptId, InstanceNumber, NodeName, WorkerId};
use crate::model::policy::{Backoff, KillResult, OnLost, Overlap, TimeoutAction};

use super::super::command::{InventoryState, RerunVersion, RunRequest};
use super::super::state::{Forced, RerunPlan};
use super::super::*;
use super::bench::{Bench, Flow, LOST_AFTER, MINUTE, outcome};

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 += 1;
        hash::fixed(&[&self.0.to_le_bytes()]) % n
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.below(items.len() as u64) as usize]) }
    }
}

fn flow(name: &str, dice: &mut Dice) -> Flow {
    let mut flow = Flow::new(name).limit(1 + dice.below(3) as u32).start("f").fork("f", &["a", "b", "c"]);
    for (at, node) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let to = ["d", "j", "j", "j", "j"][at];
        let pick = [dice.below(3), dice.below(3), dice.below(4), dice.below(4), dice.below(6)];
        flow = flow.action_with(node, to, |policy| {
            policy.retry.times = pick[0] as u32;
            policy.retry.interval = Millis::seconds(pick[0] as i64 * 7);
            policy.retry.backoff = Backoff::Exponential;
            policy.retry.jitter_percent = 20;
            policy.on_lost = [OnLost::Retry, OnLost::Ask, OnLost::Fail][pick[1] as usize];
            policy.lost_retry_times = pick[2] as u32;
            policy.timeout = (pick[3] == 0).then_some(Millis::seconds(90));
            policy.timeout_action =
                [TimeoutAction::Fail, TimeoutAction::KillInstance, TimeoutAction::Warn][(pick[4] % 3) as usize];
            policy.slots = 1 + (pick[4] == 5) as u32;
            policy.is_ignore = pick[4] == 4;
        });
        if dice.below(3) == 0 && node != "e" {
            flow = flow.error(node, if dice.below(2) == 0 { "e" } else { "k" });
        }
    }
    flow.join("j", "end").kill("k", KillResult::Killed, "given up").end("end")
}

fn live_instances(bench: &Bench) -> Vec<InstanceNumber> {
    bench.replica.instances.keys().copied().collect()
}

fn step(bench: &mut Bench, dice: &mut Dice, machine_boots: &mut [u32; 2]) {
    let instances = live_instances(bench);
    let sent: Vec<AttemptId> = bench.sent.keys().copied().collect();
    let node = NodeName::from(["a", "b", "c", "d", "e"][dice.below(5) as usize]);
    let command = match dice.below(24) {
        0..=3 => Some(Command::Run(RunRequest::of(["w", "x"][dice.below(2) as usize]))),
        4 => Some(Command::Trigger(command::TriggerRequest::of("w"))),
        5 => dice.one_of(&instances).map(|instance| {
            let grace = (instance.0 % 2 == 0).then_some(Millis(0));
            Command::KillInstance { instance, why: None, grace }
        }),
        6 => dice.one_of(&instances).map(|instance| Command::PauseInstance { instance, why: None }),
        7 | 8 => dice.one_of(&instances).map(|instance| Command::ResumeInstance { instance }),
        9 => dice.one_of(&instances).map(|instance| Command::RerunInstance {
            instance,
            plan: match dice.below(4) {
                0 => RerunPlan::All,
                1 => RerunPlan::FromFailed,
                2 => RerunPlan::From { node },
                _ => RerunPlan::Only { node },
            },
            version: RerunVersion::Latest,
        }),
        10 => dice.one_of(&instances).map(|instance| Command::MarkNode {
            instance,
            node,
            mark: [Forced::Succeeded, Forced::Skipped, Forced::Failed][dice.below(3) as usize],
            why: "so".to_owned(),
        }),
        11 => dice.one_of(&instances).map(|instance| Command::RetryNode { instance, node, why: "so".to_owned() }),
        12 => dice.one_of(&instances).map(|instance| Command::DeleteInstance { instance }),
        13 => {
            bench.take_over();
            None
        }
        14 => {
            let at = dice.below(2) as usize;
            let name = ["w1", "w2"][at];
            let is_reboot = dice.below(3) == 0;
            machine_boots[at] += u32::from(is_reboot);
            let mine: Vec<_> = sent.iter().filter(|id| bench.sent[id].0.as_str() == name).copied().collect();
            let mut inventory = Vec::new();
            for id in mine {
                match dice.below(4) {
                    _ if is_reboot => drop(bench.sent.remove(&id)),
                    0 => drop(bench.sent.remove(&id)),
                    1 => inventory.push((id, InventoryState::Unproven)),
                    _ => inventory.push((id, InventoryState::Alive)),
                }
            }
            bench.register(name, 3, &format!("boot-{}", machine_boots[at]), &inventory);
            None
        }
        15 => {
            bench.pass_in_silence(LOST_AFTER.0 + 1);
            None
        }
        16 => Some(Command::DeclareWorkerDead { worker: WorkerId::from("w2"), why: "so".to_owned() }),
        17 => Some(Command::EnableWorkflow { workflow: "x".into(), enabled: dice.below(2) == 0, why: None }),
        18 => {
            bench.pass(dice.below(40) as i64 * 1000);
            None
        }
        _ => dice.one_of(&sent).map(|attempt| {
            let worker = bench.sent[&attempt].0.clone();
            if dice.below(3) == 0 {
                return Command::AttemptStarted { worker, attempt, at: bench.now.wall };
            }
            if dice.below(5) > 0 {
                bench.sent.remove(&attempt);
            }
            match dice.below(8) {
                0 => {
                    let is_passing = dice.below(2) == 0;
                    Command::AttemptDeclined { worker, attempt, reason: "so".to_owned(), is_passing }
                }
                1 => Command::AttemptAbsent { worker, attempt },
                2 | 3 => Command::AttemptFinished { worker, attempt, outcome: outcome(OutcomeClass::Failed) },
                4 => Command::AttemptFinished { worker, attempt, outcome: outcome(OutcomeClass::Killed) },
                _ => Command::AttemptFinished { worker, attempt, outcome: outcome(OutcomeClass::Succeeded) },
            }
        }),
    };
    if let Some(command) = command {
        // Refusals are as good as any answer.
        let _ = bench.ask(command);
    }
}

/// Everybody is well again and people do what is asked of them: nothing may be left hanging.
fn calm(bench: &mut Bench) {
    for round in 0..400 {
        bench.register("w1", 3, &format!("calm-{round}"), &[]);
        bench.register("w2", 3, &format!("calm-{round}"), &[]);
        bench.sent.retain(|attempt, _| {
            let id = event::NodeRef::from(*attempt);
            let node = bench.replica.nodes.get(&id).and_then(|node| node.live_attempt());
            node.is_some_and(|live| live.number == attempt.number)
        });
        for instance in live_instances(bench) {
            let _ = bench.ask(Command::ResumeInstance { instance });
            for node in ["a", "b", "c", "d", "e"] {
                let _ = bench.ask(Command::RetryNode { instance, node: node.into(), why: "so".to_owned() });
            }
        }
        bench.settle();
        bench.succeed_all();
        if bench.replica.instances.values().all(state::Instance::is_terminal) {
            return;
        }
        bench.pass(MINUTE);
    }
    panic!("not at rest: {:?}", bench.replica);
}

#[test]
fn whatever_happens_the_invariants_hold_and_everything_ends() {
    for seed in 0..6 {
        let mut dice = Dice(seed * 1_000_000);
        let mut bench = Bench::with_workers(&[3, 3]);
        bench.define(flow("w", &mut dice).coordinated(|_| ()).build());
        let overlap = [Overlap::Queue, Overlap::QueueOne, Overlap::Skip, Overlap::Replace, Overlap::Allow];
        let overlap = overlap[dice.below(5) as usize];
        bench.define(flow("x", &mut dice).every("e", 45).coordinated(|c| c.overlap = overlap).build());
        bench.define(Flow::simple("y").after("w").after("x").build());
        let mut machine_boots = [1, 1];
        for _ in 0..80 {
            step(&mut bench, &mut dice, &mut machine_boots);
        }
        let _ = bench.ask(Command::EnableWorkflow { workflow: "x".into(), enabled: false, why: None });
        let _ = bench.ask(Command::EnableWorkflow { workflow: "y".into(), enabled: false, why: None });
        calm(&mut bench);
        bench.take_over();
    }
}

//! The worker as a whole: orders in, reports and logs out, with and without its own death between.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ractorflow::actor::protocol::worker::{RefusalReason, ReportedState, SessionNumber, WorkerMessage};
use ractorflow::actor::worker::Worker;
use ractorflow::connector::process::spool::SpoolFiles;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::{Assignment, OutcomeClass, Rendered, RetryVerdict};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{AttemptId, Epoch};
use ractorflow::model::parameter::{Origin, Value, ValueType, Vouched};
use ractorflow::model::policy::{ExitRange, OnIsolation};

use crate::assignment::{assignment, element};
use crate::master::{Home, config, script};
use crate::support::{PATIENCE, eventually, is_alive, read_pid};

/// Ends a worker and whatever it still runs, so that a test leaves nothing behind.
async fn end(worker: &Worker) {
    worker.kill_all(0).await;
    worker.stop().await;
}

fn is_refused(message: &WorkerMessage, attempt: AttemptId) -> Option<RefusalReason> {
    match message {
        WorkerMessage::Refused(refused) if refused.attempt == attempt => Some(refused.reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_script_runs_and_its_log_and_outputs_arrive() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let mut task = script(
        "7.1.1.0.2",
        "\n  echo \"$RF_WORKFLOW $RF_INSTANCE $RF_NODE $RF_INDEX $RF_ATTEMPT $RF_FENCE\"\n  echo $RF_PARAM_REGION; cat $RF_PARAMS; stat -c %a $RF_PARAMS .\n  echo rows=12 >> $RF_OUTPUT; pwd\n",
    );
    let value = Value {
        text: "cn".into(),
        kind: ValueType::String,
        origin: Origin::External,
        vouched: Vouched::No,
        source: None,
    };
    task.params = vec![("region".to_owned(), value)];
    link.dispatch(&task);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!((outcome.class, outcome.exit_code), (OutcomeClass::Succeeded, Some(0)));
    assert_eq!(outcome.outputs, [("rows".to_owned(), "12".to_owned())]);
    let lines = eventually("the log", || Some(home.lines(task.attempt)).filter(|lines| lines.len() == 5)).await;
    assert_eq!(lines[..4], ["orders 7 load 0 2 1.2", "cn", "{\"region\":\"cn\"}600", "700"]);
    let work_dir = PathBuf::from(&lines[4]);
    assert!(work_dir.starts_with(home.dir.path().join("data/work")), "{lines:?}");
    eventually("the removal of the work directory", || (!work_dir.exists()).then_some(())).await;
    link.acknowledge(task.attempt);
    eventually("the removal of the copied spool", || (home.spools() == 0).then_some(())).await;
    end(&worker).await;
}

#[tokio::test]
async fn shell_and_exec_run_and_other_types_are_refused() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let shell =
        assignment("1.1.1.0.1", element("shell", None, vec![element("command", Some("echo $0; exit 3"), vec![])]));
    let mut body: BodyElement<Rendered> = element("exec", None, vec![element("arg", Some("a  $b"), vec![])]);
    body.attributes.push(("program".to_owned(), Rendered { text: "echo".into(), variables: vec![] }));
    let exec = assignment("1.1.2.0.1", body.clone());
    body.attributes[0].1.text = "/no/such/program".to_owned();
    let missing = assignment("1.1.3.0.1", body);
    let unknown = assignment("1.1.4.0.1", element("teleport", None, vec![]));
    for task in [&shell, &exec, &missing, &unknown] {
        link.dispatch(task);
    }
    assert_eq!(link.outcome(shell.attempt).await.exit_code, Some(3));
    assert_eq!(link.outcome(exec.attempt).await.class, OutcomeClass::Succeeded);
    let refused = link.outcome(missing.attempt).await;
    assert_eq!(refused.class, OutcomeClass::Refused);
    assert!(refused.message.unwrap().english().contains("/no/such/program"));
    let not_built = link.outcome(unknown.attempt).await;
    assert_eq!(
        (not_built.class, not_built.message.unwrap().english().as_str()),
        (OutcomeClass::Refused, "action type teleport is not in this build")
    );
    for (attempt, line) in [(exec.attempt, "a  $b"), (unknown.attempt, "action type teleport is not in this build")] {
        eventually("the line", || (home.lines(attempt) == [line]).then_some(())).await;
    }
    end(&worker).await;
}

#[tokio::test]
async fn tasks_gain_no_privileges_unless_the_settings_let_them() {
    for (no_new_privs, told) in [(true, "NoNewPrivs:\t1"), (false, "NoNewPrivs:\t0")] {
        let home = Home::new();
        let settings = ractorflow::config::Worker { no_new_privs, ..Default::default() };
        let (worker, link) = home.start(home.config(1).with(&settings), 1).await;
        let task = script("1.1.1.0.1", "grep NoNewPrivs /proc/self/status");
        link.dispatch(&task);
        link.outcome(task.attempt).await;
        eventually("the line", || (home.lines(task.attempt) == [told]).then_some(())).await;
        end(&worker).await;
    }
}

#[tokio::test]
async fn retry_rules_are_judged_and_the_attempts_own_timeout_is_told() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let mut task = script("1.1.1.0.1", "echo 'lock wait timeout' >&2; exit 75");
    task.retry_rules.on_exit = vec![ExitRange { from: 1, to: 1 }];
    task.retry_rules.on_match = Some("lock wait".to_owned());
    link.dispatch(&task);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.retry_verdict, Some(RetryVerdict::Retry));
    assert_eq!(outcome.message.unwrap().english(), "exit code 75: lock wait timeout");
    let mut slow = script("1.1.2.0.1", "sleep 300");
    slow.attempt_timeout = Some(Millis(30));
    link.dispatch(&slow);
    assert_eq!(link.outcome(slow.attempt).await.class, OutcomeClass::AttemptTimeout);
    end(&worker).await;
}

#[tokio::test]
async fn the_same_dispatch_twice_is_one_start_and_one_result_until_acknowledged() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let ran = home.dir.path().join("ran");
    let task = script("1.1.1.0.1", &format!("echo x >> {}; echo done", ran.display()));
    link.dispatch(&task);
    link.dispatch(&task);
    link.outcome(task.attempt).await;
    link.dispatch(&task);
    let is_result = |message: &WorkerMessage| matches!(message, WorkerMessage::Finished(_));
    // Said again because it was asked for again, and once more to the next session.
    eventually("the repetition", || (link.count(is_result) >= 2).then_some(())).await;
    let second = home.connect(&worker, 2).await;
    second.outcome(task.attempt).await;
    second.acknowledge(task.attempt);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
    let third = home.connect(&worker, 3).await;
    let report = second.registers.lock().unwrap()[0].inventory.clone();
    assert_eq!(report.len(), 1);
    assert_eq!(report[0].state, ReportedState::Finished);
    assert!(third.registers.lock().unwrap()[0].inventory.is_empty(), "what is acknowledged is known");
    third.dispatch(&task);
    let after = script("1.1.2.0.1", "exit 0");
    third.dispatch(&after);
    third.outcome(after.attempt).await;
    assert_eq!(third.count(|message| matches!(message, WorkerMessage::Finished(f) if f.attempt == task.attempt)), 0);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
    end(&worker).await;
}

#[tokio::test]
async fn a_kill_before_its_dispatch_leaves_a_tombstone_that_also_survives_a_restart() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let task = script("1.1.1.0.1", "exit 0");
    link.kill(task.attempt, 0);
    let told = |message: &WorkerMessage| {
        matches!(message, WorkerMessage::Tombstoned { attempts } if attempts == &[task.attempt]).then_some(())
    };
    link.hears("the tombstone", told).await;
    link.dispatch(&task);
    let reason = link.hears("the refusal", |message| is_refused(message, task.attempt)).await;
    assert_eq!(reason, RefusalReason::Tombstoned);
    worker.stop().await;
    let (worker, link) = home.start(home.config(2), 2).await;
    link.hears("the tombstone again", told).await;
    link.dispatch(&task);
    link.hears("the refusal", |message| is_refused(message, task.attempt)).await;
    end(&worker).await;
}

#[tokio::test]
async fn a_kill_ends_the_whole_tree_with_and_without_cgroups() {
    for uses_cgroups in [true, false] {
        let home = Home::new();
        let mut config = home.config(1);
        config.uses_cgroups = uses_cgroups;
        let (worker, link) = home.start(config, 1).await;
        let far = home.dir.path().join("far");
        let code = format!(
            "trap '' TERM; setsid bash -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 60; done' & wait",
            far.display()
        );
        let task = script("1.1.1.0.1", &code);
        link.dispatch(&task);
        let pid = eventually("the far one", || read_pid(&far)).await;
        link.kill(task.attempt, 20);
        let outcome = link.outcome(task.attempt).await;
        assert_eq!((outcome.class, outcome.signal), (OutcomeClass::Killed, Some(9)));
        assert!(!is_alive(pid), "cgroups {uses_cgroups}");
        end(&worker).await;
    }
}

#[tokio::test]
async fn orders_of_other_sessions_older_epochs_and_stale_ones_are_refused() {
    let home = Home::new();
    let mut config = home.config(1);
    config.dispatch_age_max_ms = 400;
    let (worker, link) = home.start(config, 5).await;
    let task = |number: u32| script(&format!("1.1.1.0.{number}"), "exit 0");
    link.dispatch_on(SessionNumber(1), Epoch(5), &task(1));
    link.dispatch_on(link.session(), Epoch(4), &task(2));
    for (number, expected) in [(1, RefusalReason::OtherSession), (2, RefusalReason::OldEpoch)] {
        let reason = link.hears("the refusal", |message| is_refused(message, task(number).attempt)).await;
        assert_eq!(reason, expected);
    }
    // The master falls silent: after a while its orders are too old, and when it answers again they are not.
    link.answers_heartbeats.store(false, Ordering::SeqCst);
    let mut number = 10;
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        number += 1;
        link.dispatch(&task(number));
        let attempt = task(number).attempt;
        let refused = link
            .hears("an answer", |message| match message {
                WorkerMessage::Finished(finished) if finished.attempt == attempt => Some(None),
                other => is_refused(other, attempt).map(Some),
            })
            .await;
        match refused {
            Some(reason) => {
                assert_eq!(reason, RefusalReason::TooOld);
                break;
            }
            None => assert!(std::time::Instant::now() < deadline, "never too old"),
        }
    }
    link.answers_heartbeats.store(true, Ordering::SeqCst);
    let beats = link.count(|message| matches!(message, WorkerMessage::Heartbeat(_)));
    eventually("two more heartbeats", || {
        (link.count(|message| matches!(message, WorkerMessage::Heartbeat(_))) > beats + 1).then_some(())
    })
    .await;
    link.dispatch(&task(9_999));
    assert_eq!(link.outcome(task(9_999).attempt).await.class, OutcomeClass::Succeeded);
    end(&worker).await;
    // The highest epoch is kept: a leader of a lower one is not registered with.
    let worker = Worker::start(home.config(2)).await.unwrap();
    let later = home.connect(&worker, 5).await;
    assert_eq!(later.registers.lock().unwrap()[0].highest_epoch, Epoch(5));
    end(&worker).await;
}

/// A task that lives until its gate is there, with a lease.
fn leased(home: &Home, number: u32, lease_ms: i64) -> (Assignment, PathBuf) {
    let gate = home.dir.path().join(format!("gate-{number}"));
    let started = gate.with_extension("started");
    let code = format!("touch {}; until [ -e {} ]; do sleep 0.02; done", started.display(), gate.display());
    let mut task = script(&format!("1.1.{number}.0.1"), &code);
    task.lease = Some(Millis(lease_ms));
    (task, gate)
}

#[tokio::test]
async fn answers_renew_a_lease_and_without_them_it_ends_the_task() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let (task, gate) = leased(&home, 1, 4_000);
    let (mut outliving, gate_2) = leased(&home, 2, 4_000);
    outliving.on_isolation = OnIsolation::Continue;
    link.dispatch(&task);
    link.dispatch(&outliving);
    link.started(task.attempt).await;
    link.started(outliving.attempt).await;
    // Longer than the lease: a heartbeat is 50 ms at least.
    link.beats(100).await;
    assert_eq!(link.count(|message| matches!(message, WorkerMessage::Finished(_))), 0);
    link.answers_heartbeats.store(false, Ordering::SeqCst);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Infrastructure);
    assert_eq!(
        outcome.message.as_ref().map(|message| message.english()),
        Some("ended with the worker's lease".to_owned())
    );
    assert!(!gate.exists());
    std::fs::write(&gate_2, "").unwrap();
    assert_eq!(link.outcome(outliving.attempt).await.class, OutcomeClass::Succeeded, "on-isolation=\"continue\"");
    end(&worker).await;
}

#[tokio::test]
async fn a_lease_counts_from_the_last_answered_ping_and_not_from_the_dispatch() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    link.answers_heartbeats.store(false, Ordering::SeqCst);
    // The dispatch is young enough, the lease that it would have is over.
    link.beats(20).await;
    let (task, gate) = leased(&home, 1, 500);
    link.dispatch(&task);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Infrastructure);
    assert_eq!(
        outcome.message.as_ref().map(|message| message.english()),
        Some("its lease ended before it was started".to_owned())
    );
    assert!(!gate.with_extension("started").exists());
    end(&worker).await;
}

#[tokio::test]
async fn a_restarted_daemon_gives_no_task_a_longer_life_until_it_is_answered() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let tasks = [leased(&home, 1, 4_000), leased(&home, 2, 3_600_000)];
    for (task, _) in &tasks {
        link.dispatch(task);
        link.started(task.attempt).await;
    }
    worker.stop().await;
    // No master takes it: the first task ends when it would have ended without any daemon.
    let alone = Worker::start(home.config(2)).await.unwrap();
    eventually("the end of the first task", || status_of(&home, tasks[0].0.attempt)).await;
    assert!(status_of(&home, tasks[1].0.attempt).is_none());
    let link = home.connect(&alone, 2).await;
    let outcome = link.outcome(tasks[0].0.attempt).await;
    assert_eq!(
        outcome.message.as_ref().map(|message| message.english()),
        Some("ended with the worker's lease".to_owned())
    );
    // Answered again, a lease goes on: far longer than was left of it.
    let (short, gate) = leased(&home, 3, 4_000);
    link.dispatch(&short);
    link.started(short.attempt).await;
    alone.stop().await;
    let (worker, link) = home.start(home.config(3), 3).await;
    link.beats(100).await;
    std::fs::write(&gate, "").unwrap();
    assert_eq!(link.outcome(short.attempt).await.class, OutcomeClass::Succeeded);
    end(&worker).await;
}

/// Whether the shim of an attempt of the first daemon has written down its end.
fn status_of(home: &Home, attempt: AttemptId) -> Option<()> {
    let root = home.dir.path().join("data/spool");
    let names = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Of the attempt, of the first boot, and then a hash of the workflow.
    let own = format!("{attempt}@1@");
    let name = names.into_iter().find(|name| name.starts_with(&own))?;
    let (stem, _) = name.split_at_checked(own.len() + 16)?;
    SpoolFiles::new(root.join(stem)).status().unwrap().map(drop)
}

#[tokio::test]
async fn a_draining_worker_takes_nothing_new_and_finishes_what_it_has() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let gate = home.dir.path().join("gate");
    let old = script("1.1.1.0.1", &format!("until [ -e {} ]; do sleep 0.02; done", gate.display()));
    link.dispatch(&old);
    link.started(old.attempt).await;
    link.drain(true);
    let new = script("1.1.2.0.1", "exit 0");
    link.dispatch(&new);
    let reason = link.hears("the refusal", |message| is_refused(message, new.attempt)).await;
    assert_eq!(reason, RefusalReason::Draining);
    std::fs::write(&gate, "").unwrap();
    assert_eq!(link.outcome(old.attempt).await.class, OutcomeClass::Succeeded);
    end(&worker).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_copied_delays_no_result_and_is_copied_later() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    link.is_bulk_broken.store(true, Ordering::SeqCst);
    let task = script("1.1.1.0.1", "seq 1 500");
    link.dispatch(&task);
    assert_eq!(link.outcome(task.attempt).await.class, OutcomeClass::Succeeded);
    assert!(home.lines(task.attempt).is_empty());
    assert!(home.spools() > 0);
    link.is_bulk_broken.store(false, Ordering::SeqCst);
    eventually("the whole log", || (home.lines(task.attempt).len() == 500).then_some(())).await;
    eventually("the spool's removal", || (home.spools() == 0).then_some(())).await;
    end(&worker).await;
}

/// While no master takes logs: the workflow's oldest go, also after a restart; what still runs keeps its own.
#[tokio::test]
async fn output_beyond_the_quota_of_its_workflow_goes_oldest_first_and_the_log_says_so() {
    let home = Home::new();
    let configured = |boot| {
        let mut config = home.config(boot);
        (config.attempt_log_bytes_max, config.workflow_log_bytes_max) = (1 << 20, 450_000);
        // However full the disk of this machine is.
        config.log_disk_percent_max = 101;
        config
    };
    let (worker, link) = home.start(configured(1), 1).await;
    link.is_bulk_broken.store(true, Ordering::SeqCst);
    let gate = home.dir.path().join("gate");
    // The same instance: an ended attempt and one that runs on.
    let mine = script("9.1.1.0.1", "seq 1 10000");
    let runs = script("9.1.2.0.1", &format!("echo mine; until [ -e {} ]; do sleep 0.02; done", gate.display()));
    let others: Vec<_> = (1..=3).map(|n| script(&format!("{n}.1.1.0.1"), "seq 1 10000")).collect();
    let mut elsewhere = script("5.1.1.0.1", "seq 1 10000");
    elsewhere.workflow = "stock".into();
    link.dispatch(&mine);
    link.outcome(mine.attempt).await;
    link.dispatch(&runs);
    link.started(runs.attempt).await;
    for task in others.iter().chain([&elsewhere]) {
        link.dispatch(task);
        link.outcome(task.attempt).await;
    }
    let dropped = || {
        let files = std::fs::read_dir(home.dir.path().join("data/spool")).unwrap().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let mut dropped: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".dropped")?.split('.').next()?.to_owned())).collect();
        dropped.sort();
        dropped
    };
    eventually("the oldest of the others to go", || (!dropped().is_empty()).then_some(())).await;
    let gone = dropped();
    assert!(gone.iter().all(|instance| ["1", "2", "3"].contains(&instance.as_str())), "{gone:?}");
    assert!(gone.contains(&"1".to_owned()) && gone.len() < 3, "the oldest, no more than needed: {gone:?}");
    worker.stop().await;

    let (worker, link) = home.start(configured(2), 2).await;
    std::fs::write(&gate, "").unwrap();
    link.outcome(runs.attempt).await;
    let marked = eventually("the mark", || {
        let lines = home.lines(others[0].attempt);
        (lines.len() == 1).then(|| lines[0].clone())
    })
    .await;
    assert!(marked.contains("bytes dropped here"), "{marked}");
    for task in [&mine, &elsewhere, &others[2]] {
        eventually("a whole log", || (home.logs.len(task.attempt).lines == 10_000).then_some(())).await;
    }
    eventually("all spools to go", || (home.spools() == 0).then_some(())).await;
    end(&worker).await;
}

#[tokio::test]
async fn a_log_is_copied_while_the_task_runs() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let gate = home.dir.path().join("gate");
    let task =
        script("1.1.1.0.1", &format!("echo first; until [ -e {} ]; do sleep 0.02; done; echo second", gate.display()));
    link.dispatch(&task);
    eventually("the first line", || (home.lines(task.attempt) == ["first"]).then_some(())).await;
    std::fs::write(&gate, "").unwrap();
    eventually("both lines", || (home.lines(task.attempt) == ["first", "second"]).then_some(())).await;
    end(&worker).await;
}

#[tokio::test]
async fn another_boot_id_proves_the_attempts_of_the_earlier_one_dead() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    // An attempt of no other test: its shim is looked for by name.
    let task = script("1.1.463.0.1", "sleep 300");
    link.dispatch(&task);
    link.started(task.attempt).await;
    worker.stop().await;
    let mut config = home.config(2);
    config.boot_id = "another".to_owned();
    let (after, link) = home.start(config, 2).await;
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Infrastructure);
    assert!(outcome.message.unwrap().english().contains("restarted"));
    end(&after).await;
    // In truth nothing was restarted: what is left is ended here.
    kill_shim(task.attempt).await;
}

/// Tells the shim that listens for this attempt to kill.
async fn kill_shim(attempt: AttemptId) {
    let start = format!("@rf-shim/{attempt}/");
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    let name = sockets.lines().filter_map(|line| line.split(' ').next_back()).find(|name| name.starts_with(&start));
    let link = ractorflow::connector::process::link::ShimLink::attach(&name.unwrap()[1..]).unwrap();
    link.send(ractorflow::connector::process::wire::ToShim::Kill { grace_ms: 0 }).unwrap();
    crate::support::finish(&link).await;
}

const CHILD_HOME: &str = "WORKER_TEST_HOME";

/// Not a test: the daemon that other tests kill. Runs what lies in `home/todo` and waits for its end.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn child_daemon() {
    let Ok(home) = std::env::var(CHILD_HOME) else { return };
    let home = PathBuf::from(home);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let logs = ractorflow::actor::log_store::LogStore::open(home.join("m1-logs"), Default::default()).unwrap();
        let dir = tempfile::TempDir::new().unwrap();
        let children = Home { dir, logs: std::sync::Arc::new(logs) };
        let (_worker, link) = children.start(config(&home, 1), 1).await;
        for (number, code) in std::fs::read_to_string(home.join("todo")).unwrap().lines().enumerate() {
            link.dispatch(&script(&format!("1.1.{}.0.1", number + 1), code));
        }
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        }
    });
}

fn spawn_child(home: &Path, todo: &[String]) -> std::process::Child {
    std::fs::write(home.join("todo"), todo.join("\n")).unwrap();
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon::child_daemon", "--ignored", "--nocapture"])
        .env(CHILD_HOME, home)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn tasks_outlive_the_killed_daemon_and_the_next_one_reports_them() {
    let home = Home::new();
    let path = |name: &str| home.dir.path().join(name);
    let waits = |mark: &str, gate: &str, rest: &str| {
        format!(
            "echo $$ > {}; echo begun; until [ -e {} ]; do sleep 0.02; done; {rest}",
            path(mark).display(),
            path(gate).display()
        )
    };
    // One ends while no daemon is there, one after the next has come, one is killed by it.
    let todo = [waits("a", "gate-a", "exit 4"), waits("b", "gate-b", "exit 5"), waits("c", "never", "")];
    let mut child = spawn_child(home.dir.path(), &todo);
    let mut pids = Vec::new();
    for mark in ["a", "b", "c"] {
        pids.push(eventually("a task's start", || read_pid(&path(mark))).await);
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "the tasks died with the daemon");
    std::fs::write(path("gate-a"), "").unwrap();
    eventually("the end of the first", || (!is_alive(pids[0])).then_some(())).await;

    let (worker, link) = home.start(home.config(2), 2).await;
    let id = |node: u32| format!("1.1.{node}.0.1").parse::<AttemptId>().unwrap();
    let inventory: Vec<AttemptId> =
        link.registers.lock().unwrap()[0].inventory.iter().map(|report| report.attempt).collect();
    assert_eq!(inventory, [id(1), id(2), id(3)]);
    assert_eq!(link.outcome(id(1)).await.exit_code, Some(4));
    link.started(id(2)).await;
    // The master does not know better and sends the attempt again: nothing new is started.
    link.dispatch(&script("1.1.2.0.1", "exit 99"));
    link.kill(id(3), 0);
    assert_eq!(link.outcome(id(3)).await.class, OutcomeClass::Killed);
    assert!(is_alive(pids[1]));
    std::fs::write(path("gate-b"), "").unwrap();
    assert_eq!(link.outcome(id(2)).await.exit_code, Some(5));
    for node in [1, 2, 3] {
        eventually("the log", || (home.lines(id(node)) == ["begun"]).then_some(())).await;
    }
    assert_eq!(worker.n_live().await, 0);
    end(&worker).await;
}

#[tokio::test]
async fn a_task_whose_shim_and_daemon_were_killed_is_ended_and_reported_as_lost() {
    for uses_cgroups in [true, false] {
        let home = Home::new();
        let mut config = home.config(1);
        config.uses_cgroups = uses_cgroups;
        let (worker, link) = home.start(config.clone(), 1).await;
        let far = home.dir.path().join("far");
        let task = script(
            "1.1.1.0.1",
            &format!("setsid bash -c 'echo $$ > {}; while :; do sleep 60; done' & wait", far.display()),
        );
        link.dispatch(&task);
        let orphan = eventually("the far one", || read_pid(&far)).await;
        worker.stop().await;
        let shim = shim_of(orphan);
        kill(Pid::from_raw(shim), Signal::SIGKILL).unwrap();
        eventually("the shim's end", || (!is_alive(shim)).then_some(())).await;
        config.boot = ractorflow::model::id::Boot(2);
        let (worker, link) = home.start(config, 2).await;
        let outcome = link.outcome(task.attempt).await;
        assert_eq!(outcome.class, OutcomeClass::Infrastructure, "{:?}", outcome.message);
        assert!(!is_alive(orphan), "cgroups {uses_cgroups}");
        end(&worker).await;
    }
}

/// The ancestor that runs the shim's binary.
fn shim_of(mut pid: i32) -> i32 {
    loop {
        pid = ractorflow::connector::process::sweep::read(pid).unwrap().parent;
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        if program.ends_with("ractorflow-shim") {
            return pid;
        }
    }
}

#[tokio::test]
async fn the_workers_own_death_of_the_zygote_is_no_trouble() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let gate = home.dir.path().join("gate");
    let first = script(
        "1.1.1.0.1",
        &format!("echo $PPID > {}.pp; until [ -e {} ]; do sleep 0.02; done; exit 8", gate.display(), gate.display()),
    );
    link.dispatch(&first);
    let shim = eventually("the shim", || read_pid(&gate.with_extension("pp"))).await;
    let zygote = ractorflow::connector::process::sweep::read(shim).unwrap().parent;
    kill(Pid::from_raw(zygote), Signal::SIGKILL).unwrap();
    eventually("the zygote's end", || (!is_alive(zygote)).then_some(())).await;
    let second = script("1.1.2.0.1", "exit 6");
    link.dispatch(&second);
    assert_eq!(link.outcome(second.attempt).await.exit_code, Some(6));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(link.outcome(first.attempt).await.exit_code, Some(8));
    end(&worker).await;
}

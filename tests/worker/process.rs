//! One attempt under one shim.

use ractorflow::actor::clock::boot_ms;
use ractorflow::connector::process::frame::Stream;
use ractorflow::connector::process::link::ShimLink;
use ractorflow::connector::process::wire::{Ending, Fault, FromShim, ToShim};

use crate::support::{Bench, eventually, finish, is_alive, next, read_pid, shim_program, started};

/// Every test of a tree runs with cgroups (where the machine has them) and without.
const BOTH: [bool; 2] = [true, false];

#[tokio::test]
async fn exit_codes_and_signals_are_told_as_they_are() {
    let bench = Bench::new(false);
    for (name, script, code, signal) in [
        ("zero", "exit 0", Some(0), None),
        ("seven", "exit 7", Some(7), None),
        ("segv", "kill -SEGV $$", None, Some(11)),
        ("kill", "kill -KILL $$", None, Some(9)),
    ] {
        let status = bench.run(&bench.sh(name, script)).await;
        assert_eq!((status.exit_code, status.signal, status.ending), (code, signal, Ending::Exited), "{name}");
        assert_eq!(bench.spool(name).status().unwrap(), Some(status), "{name}");
        assert!(ShimLink::attach(&bench.socket_name(name)).is_err(), "its socket is gone");
    }
}

#[tokio::test]
async fn both_streams_are_spooled_line_by_line() {
    let bench = Bench::new(false);
    let status = bench.run(&bench.sh("a", "echo one; echo two >&2; printf 'three'; exit 3")).await;
    let mut log = bench.log("a");
    log.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
    let expected = [(Stream::Stdout, "one"), (Stream::Stdout, "three"), (Stream::Stderr, "two")];
    assert_eq!(log, expected.map(|(stream, text)| (stream, text.to_owned())));
    assert_eq!((status.n_lines, status.stderr_tail.as_slice()), (3, b"two\n".as_slice()));
}

#[tokio::test]
async fn binary_output_is_kept_byte_for_byte() {
    let bench = Bench::new(false);
    let status = bench.run(&bench.sh("a", r"printf '\000\377\033[31m\nx\n'")).await;
    let bytes = bench.spool("a").read(Some(&status), 0, 1000).unwrap();
    assert!(bytes.windows(7).any(|w| w == b"\0\xff\x1b[31m"));
    assert_eq!(status.n_lines, 2);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_tasks_fault() {
    let bench = Bench::new(true);
    for program in ["/nonexistent/x", "no-such-program-anywhere", "/etc/passwd"] {
        let link = bench.zygote.launch(&bench.spec(&program.replace('/', "_"), &[program])).await.unwrap();
        match next(&link).await {
            Some(FromShim::Failed { message, fault: Fault::Task }) => assert!(message.contains(program), "{message}"),
            other => panic!("{other:?}"),
        }
        assert!(next(&link).await.is_none());
    }
}

#[tokio::test]
async fn a_task_gets_a_clean_process() {
    let bench = Bench::new(false);
    let script = "umask; ls /proc/self/fd | sort -n | tr '\\n' ' '; grep -E 'NoNewPrivs|SigBlk|SigIgn' /proc/self/status; \
                  ps -o sid= -p $$ | tr -d ' '; echo $$; cat; env | cut -d= -f1 | sort | tr '\\n' ' '";
    bench.run(&bench.sh("a", script)).await;
    let lines: Vec<String> = bench.log("a").into_iter().map(|(_, text)| text).collect();
    let text = lines.join("\n");
    assert!(text.starts_with("0027\n0 1 2 3 "), "{text}");
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
    // Beyond the classic signals the C library keeps some for itself.
    let ignored = lines.iter().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 0, "{text}");
    assert!(text.contains("PATH PWD RF_ATTEMPT_TOKEN SHLVL _"), "{text}");
    let session = lines.iter().position(|line| line.starts_with("NoNewPrivs")).unwrap();
    assert_eq!(lines[session + 1], lines[session + 2], "leads its own session: {text}");
}

#[tokio::test]
async fn a_kill_takes_the_double_forked_and_the_deaf_along() {
    for with_cgroups in BOTH {
        let bench = Bench::new(with_cgroups);
        let script = "trap '' TERM\n\
             (trap '' TERM; setsid bash -c 'trap \"\" TERM; echo $$ > far; exec -a far sleep 300' </dev/null >/dev/null 2>&1 &) &\n\
             setsid env -i /bin/bash -c 'trap \"\" TERM; echo $$ > bare; while :; do sleep 300; done' </dev/null >/dev/null 2>&1 &\n\
             echo ready; while :; do sleep 300; done";
        let spec = bench.sh("a", script);
        let link = bench.zygote.launch(&spec).await.unwrap();
        let main = started(&link).await;
        let work = bench.dir.path().join("work");
        let far = eventually("the far one", || read_pid(&work.join("far"))).await;
        let bare = eventually("the bare one", || read_pid(&work.join("bare"))).await;
        link.send(ToShim::Kill { grace_ms: 50 }).unwrap();
        let status = finish(&link).await;
        assert_eq!((status.ending, status.signal, status.n_survivors), (Ending::Killed, Some(9), 0));
        for pid in [main, far, bare] {
            assert!(!is_alive(pid), "{pid} lives, cgroups {with_cgroups}");
        }
    }
}

#[tokio::test]
async fn a_task_that_obeys_term_may_clean_up() {
    let bench = Bench::new(true);
    let spec = bench.sh("a", "trap 'echo cleaned; exit 4' TERM; echo ready; while :; do sleep 0.02; done");
    let link = bench.zygote.launch(&spec).await.unwrap();
    started(&link).await;
    eventually("ready", || (!bench.log("a").is_empty()).then_some(())).await;
    link.send(ToShim::Kill { grace_ms: 20_000 }).unwrap();
    let status = finish(&link).await;
    assert_eq!((status.ending, status.exit_code), (Ending::Killed, Some(4)));
    assert_eq!(bench.log("a").last().unwrap().1, "cleaned");
}

#[tokio::test]
async fn an_output_held_open_by_a_grandchild_ends_with_the_drain_time() {
    for with_cgroups in BOTH {
        let bench = Bench::new(with_cgroups);
        let mut spec = bench.sh("a", "sleep 300 & echo $! > holder; echo done; exit 5");
        spec.drain_ms = 50;
        let status = bench.run(&spec).await;
        assert_eq!((status.exit_code, status.ending, status.n_left_over), (Some(5), Ending::Exited, 1));
        let holder = read_pid(&bench.dir.path().join("work/holder")).unwrap();
        assert!(!is_alive(holder));
        let log = bench.log("a");
        assert_eq!(log[0].1, "done");
        assert!(log[1].0 == Stream::System && log[1].1.contains("left behind"), "{log:?}");
    }
}

#[tokio::test]
async fn what_a_grandchild_writes_before_the_drain_time_is_kept() {
    let bench = Bench::new(false);
    let status = bench.run(&bench.sh("a", "(sleep 0.1; echo late) & exit 0")).await;
    assert_eq!((status.exit_code, status.n_left_over), (Some(0), 0));
    assert_eq!(bench.log("a")[0].1, "late");
}

#[tokio::test]
async fn the_attempts_own_deadline_kills_it() {
    let bench = Bench::new(true);
    let mut spec = bench.sh("a", "sleep 300");
    spec.attempt_timeout_ms = Some(40);
    let status = bench.run(&spec).await;
    assert_eq!((status.ending, status.signal), (Ending::TimedOut, Some(15)));
    assert!(bench.members(&spec).is_empty());
}

#[tokio::test]
async fn an_ended_lease_kills_unless_the_node_goes_on_or_it_is_renewed() {
    let bench = Bench::new(true);
    let mut spec = bench.sh("a", "sleep 300");
    spec.lease_deadline_ms = Some(boot_ms() + 500);
    assert_eq!(bench.run(&spec).await.ending, Ending::LeaseEnded);
    let mut spec = bench.sh("b", "exit 0");
    (spec.lease_deadline_ms, spec.outlives_lease) = (Some(1), true);
    assert_eq!(bench.run(&spec).await.ending, Ending::Exited);
    let ready = bench.dir.path().join("ready");
    let mut spec =
        bench.sh("c", &format!("trap '' TERM; touch {}; while :; do read -t 60 < <(sleep 60); done", ready.display()));
    spec.lease_deadline_ms = Some(boot_ms() + 3_600_000);
    // It may take its time when it is killed, but at the end of its lease only the shim's own grace.
    spec.grace_ms = 3_600_000;
    let link = bench.zygote.launch(&spec).await.unwrap();
    started(&link).await;
    eventually("the trap", || ready.exists().then_some(())).await;
    link.send(ToShim::Lease { deadline_ms: boot_ms() + 100 }).unwrap();
    let status = finish(&link).await;
    assert_eq!((status.ending, status.signal), (Ending::LeaseEnded, Some(9)));
    assert!(bench.members(&spec).is_empty());
}

#[tokio::test]
async fn a_shim_starts_nothing_after_the_end_of_its_lease() {
    let bench = Bench::new(true);
    let ran = bench.dir.path().join("ran");
    let mut spec = bench.sh("a", &format!("touch {}", ran.display()));
    spec.lease_deadline_ms = Some(boot_ms());
    let link = bench.zygote.launch(&spec).await.unwrap();
    match next(&link).await {
        Some(FromShim::Failed { message, fault: Fault::World }) => assert!(message.contains("lease"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(!ran.exists());
    assert!(ShimLink::attach(&bench.socket_name("a")).is_err(), "no socket is left");
}

#[tokio::test]
async fn a_single_line_without_end_stays_in_bounds() {
    let bench = Bench::new(false);
    let mut spec = bench.sh("a", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end");
    spec.log_bytes_max = 256 * 1024;
    let status = bench.run(&spec).await;
    let cut = status.cut.expect("over the cap");
    assert!(cut.dropped_bytes > 19_000_000, "{cut:?}");
    assert!(bench.spool("a").disk_bytes() < 300 * 1024);
    let log = bench.log("a");
    assert!(log.iter().any(|(stream, text)| *stream == Stream::System && text.contains("dropped here")));
    assert_eq!(log.last().unwrap().1, "end");
    assert!(log[0].1.starts_with("xxx"));
}

#[tokio::test]
async fn the_head_and_the_tail_of_a_long_output_are_kept() {
    let bench = Bench::new(false);
    let mut spec = bench.sh("a", "seq 1 50000");
    spec.log_bytes_max = 64 * 1024;
    let status = bench.run(&spec).await;
    let log = bench.log("a");
    let cut = status.cut.unwrap();
    assert_eq!((log[0].1.as_str(), log.last().unwrap().1.as_str()), ("1", "50000"));
    assert_eq!(log.len() as u64 - 1 + cut.dropped_lines, 50_000);
    let mark = log.iter().position(|(stream, _)| *stream == Stream::System).unwrap();
    let after: u64 = log[mark + 1].1.parse().unwrap();
    let before: u64 = log[mark - 1].1.parse().unwrap();
    assert_eq!(after - before - 1, cut.dropped_lines);
}

#[tokio::test]
async fn an_attempt_is_started_by_one_shim_only() {
    let bench = Bench::new(false);
    let spec = bench.sh("a", "echo once >> ran");
    assert_eq!(bench.run(&spec).await.exit_code, Some(0));
    let again = bench.zygote.launch(&spec).await.unwrap();
    assert!(matches!(next(&again).await, Some(FromShim::Failed { fault: Fault::Claimed, .. })));
    assert_eq!(std::fs::read_to_string(bench.dir.path().join("work/ran")).unwrap(), "once\n");
    // A worker that claims first keeps a shim from starting.
    let spec = bench.sh("b", "echo twice >> ran");
    assert!(bench.spool("b").claim().unwrap());
    let late = bench.zygote.launch(&spec).await.unwrap();
    assert!(matches!(next(&late).await, Some(FromShim::Failed { fault: Fault::Claimed, .. })));
}

#[tokio::test]
async fn a_spare_file_becomes_the_status_and_claims_no_more_than_a_new_one() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new(false);
    let spare = bench.dir.path().join("spare");
    let with_spare = |name: &str| {
        let mut spec = bench.sh(name, "echo once >> ran; exit 3");
        spec.spare = Some(spare.to_str().unwrap().to_owned());
        spec
    };
    // It is gone: a new one is made.
    assert_eq!(bench.run(&with_spare("a")).await.exit_code, Some(3));
    std::fs::write(&spare, "").unwrap();
    let inode = std::fs::metadata(&spare).unwrap().ino();
    let status = bench.run(&with_spare("b")).await;
    assert_eq!(bench.spool("b").status().unwrap(), Some(status));
    assert_eq!(std::fs::metadata(bench.spool("b").status_file()).unwrap().ino(), inode);
    std::fs::write(&spare, "").unwrap();
    let again = bench.zygote.launch(&with_spare("b")).await.unwrap();
    assert!(matches!(next(&again).await, Some(FromShim::Failed { fault: Fault::Claimed, .. })));
    assert_eq!(std::fs::metadata(bench.spool("b").status_file()).unwrap().ino(), inode);
    assert_eq!(std::fs::read_to_string(bench.dir.path().join("work/ran")).unwrap(), "once\nonce\n");
}

#[tokio::test]
async fn a_dead_zygote_is_replaced_and_its_shims_go_on() {
    let bench = Bench::new(true);
    let link = bench.zygote.launch(&bench.sh("a", "read x < gate; echo $x; exit 6")).await.unwrap();
    nix::unistd::mkfifo(&bench.dir.path().join("work/gate"), nix::sys::stat::Mode::S_IRWXU).ok();
    started(&link).await;
    let first = bench.zygote.pid().await.unwrap() as i32;
    // The shim that stands ready dies with it, a moment later; what is asked of it in between is lost.
    let children = format!("/proc/{first}/task/{first}/children");
    let two = || std::fs::read_to_string(&children).ok().filter(|pids| pids.split_whitespace().count() == 2);
    let shims = eventually("a ready shim", two).await;
    let n_alive = || shims.split_whitespace().filter(|pid| is_alive(pid.parse().unwrap())).count();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGKILL).unwrap();
    eventually("their end", || (!is_alive(first) && n_alive() == 1).then_some(())).await;
    assert_eq!(bench.run(&bench.sh("b", "exit 2")).await.exit_code, Some(2));
    assert_ne!(bench.zygote.pid().await.unwrap() as i32, first);
    link.send(ToShim::Kill { grace_ms: 0 }).unwrap();
    assert_eq!(finish(&link).await.ending, Ending::Killed);
}

#[tokio::test]
async fn a_running_shim_can_be_attached_to_again() {
    let bench = Bench::new(false);
    let link =
        bench.zygote.launch(&bench.sh("a", "trap 'exit 9' TERM; echo up; while :; do sleep 0.02; done")).await.unwrap();
    let pid = started(&link).await;
    eventually("up", || (!bench.log("a").is_empty()).then_some(())).await;
    drop(link);
    let name = bench.socket_name("a");
    let again = ShimLink::attach(&name).unwrap();
    assert_eq!(started(&again).await, pid);
    again.send(ToShim::Kill { grace_ms: 20_000 }).unwrap();
    assert_eq!(finish(&again).await.exit_code, Some(9));
    eventually("the socket's removal", || ShimLink::attach(&name).err()).await;
}

#[tokio::test]
async fn a_large_environment_reaches_the_task() {
    let bench = Bench::new(false);
    let mut spec = bench.sh("a", "printf %s \"$BIG\" | wc -c; printf %s \"$BIG2\" | wc -c");
    for name in ["BIG", "BIG2"] {
        spec.env.push([name.as_bytes(), b"=", &vec![b'y'; 100_000]].concat());
    }
    assert_eq!(bench.run(&spec).await.exit_code, Some(0));
    assert_eq!(bench.log("a").iter().map(|(_, text)| text.trim()).collect::<Vec<_>>(), ["100000", "100000"]);
}

#[tokio::test]
async fn a_dead_shim_takes_its_main_process_with_it() {
    let bench = Bench::new(false);
    let link = bench.zygote.launch(&bench.sh("a", "sleep 300")).await.unwrap();
    let pid = started(&link).await;
    let shim = ractorflow::connector::process::sweep::read(pid).unwrap().parent;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::SIGKILL).unwrap();
    assert!(next(&link).await.is_none());
    eventually("the task's end", || (!is_alive(pid)).then_some(())).await;
    assert_eq!(bench.spool("a").status().unwrap(), None);
}

#[test]
fn a_zygote_that_no_worker_started_ends() {
    let mut zygote = std::process::Command::new(shim_program())
        .arg("--zygote")
        .stdin(std::process::Stdio::null())
        .spawn()
        .expect("the shim's program");
    assert!(zygote.wait().expect("its end").success());
}

//! The leader's wall clock jumps. A file says by how much, libfaketime reads it for every process of the host; clocks that
//! never jump are left alone. Where the library is not installed, the simulation of the engine is what covers jumps.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::Options;
use crate::course::Course;
use crate::rig::MASTERS;

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];
/// How long each clock stays wrong: longer than anything is due in.
const WRONG: Duration = Duration::from_secs(4);

pub fn jump(course: &mut Course, _: &Options) -> Result<(), String> {
    let Some(library) = LIBRARIES.into_iter().find(|library| Path::new(library).exists()) else {
        eprintln!("clock_jump: skipped, libfaketime is not installed");
        return Ok(());
    };
    let clock = |course: &Course, host: &str| course.rig.home(host).join("clock");
    for master in MASTERS {
        let file = clock(course, master);
        set(&file, "+0")?;
        let environment = [
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        restart(course, master, &environment)?;
    }
    let leader = course.settled()?;
    let file = clock(course, &leader);
    for (jump, word) in [("+3600", "an hour ahead"), ("-3600", "an hour behind"), ("+0", "right again")] {
        course.calm("clock_jump", format!("the clock of the leader {leader} is {word}"), |_| {
            set(&file, jump)?;
            std::thread::sleep(WRONG);
            Ok(())
        })?;
    }
    MASTERS.into_iter().try_for_each(|master| restart(course, master, &[]))
}

fn set(file: &Path, jump: &str) -> Result<(), String> {
    fs::write(file, format!("{jump}\n")).map_err(|error| format!("{}: {error}", file.display()))
}

fn restart(course: &mut Course, master: &str, environment: &[(&str, String)]) -> Result<(), String> {
    course.rig.must(master, "sbin/stop-cluster --now")?;
    course.rig.start_later(master, environment)?;
    course.rig.await_votes(3)
}

/// libfaketime leaves two files in shared memory for each process that was killed.
pub fn remove_leftovers(since: SystemTime) {
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let of = name.strip_prefix("faketime_shm_").or_else(|| name.strip_prefix("sem.faketime_sem_"));
        let is_dead = of.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists());
        let is_new = entry.metadata().and_then(|file| file.modified()).is_ok_and(|at| at >= since);
        if is_dead && is_new {
            // Whoever else took it away did what is wanted.
            let _ = fs::remove_file(entry.path());
        }
    }
}

//! Finding the processes of an attempt in /proc, where no cgroup holds them together.
//!
//! A process belongs to an attempt when its environment carries the attempt's token, when it descends from the
//! attempt's shim, or when it is in the session that the shim opened for it. Shared by the shim's binary: uses
//! nothing but std and libc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Name of the variable that every process of an attempt inherits.
pub const TOKEN_VARIABLE: &str = "RF_ATTEMPT_TOKEN";

/// Longest environment looked at: the token is put first, so it is found in a longer one too.
const ENVIRON_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub session: i32,
    /// Clock ticks after boot: with the pid it names a process for good.
    pub start_ticks: u64,
    pub is_zombie: bool,
}

/// Every process that this user can see. A /proc that cannot be listed is an error: "none found" would be a lie.
pub fn processes() -> std::io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok())
            && let Some(process) = read(pid)
        {
            found.push(process);
        }
    }
    Ok(found)
}

/// One process by its number; `None` when it is gone.
pub fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks and parentheses itself.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    pub token: &'a str,
    /// The shim while it lives (its descendants count, it does not).
    pub shim: Option<i32>,
    /// The session of the attempt's main process and the start of that process or of the shim: an older process
    /// with the same number in its session field is someone else's.
    pub session: Option<(i32, u64)>,
}

/// Living processes of the attempt. Zombies are left out: they run nothing.
pub fn members(marks: &Marks<'_>) -> std::io::Result<Vec<i32>> {
    let all = processes()?;
    let mut inside: BTreeSet<i32> = BTreeSet::new();
    for process in &all {
        let in_session =
            marks.session.is_some_and(|(session, since)| process.session == session && process.start_ticks >= since);
        if in_session || has_token(process.pid, marks.token) {
            inside.insert(process.pid);
        }
    }
    // Descendants of what was found and of the shim.
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in &all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut open: Vec<i32> = inside.iter().copied().chain(marks.shim).collect();
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            if inside.insert(child) {
                open.push(child);
            }
        }
    }
    if let Some(shim) = marks.shim {
        inside.remove(&shim);
    }
    let own = std::process::id() as i32;
    Ok(all.iter().filter(|p| !p.is_zombie && p.pid != own && inside.contains(&p.pid)).map(|p| p.pid).collect())
}

fn has_token(pid: i32, token: &str) -> bool {
    use std::io::Read;
    if token.is_empty() {
        return false;
    }
    let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) else { return false };
    let mut environ = Vec::new();
    if file.take(ENVIRON_MAX as u64).read_to_end(&mut environ).is_err() {
        return false;
    }
    environ.split(|&b| b == 0).any(|entry| {
        entry
            .strip_prefix(TOKEN_VARIABLE.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|value| value == token.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_in_proc() {
        let own = read(std::process::id() as i32).unwrap();
        assert!(!own.is_zombie && own.start_ticks > 0);
        assert!(processes().unwrap().iter().any(|p| p.pid == own.pid));
    }

    #[test]
    fn a_child_is_found_by_its_token_and_an_unknown_token_finds_none() {
        let token = format!("sweep-test-{}", std::process::id());
        let mut child = std::process::Command::new("sleep").arg("60").env(TOKEN_VARIABLE, &token).spawn().unwrap();
        let marks = Marks { token: &token, shim: None, session: None };
        // The kernel sets up an environment a moment after it has let the parent go on.
        let is_found = (0..10_000).any(|_| members(&marks).unwrap() == [child.id() as i32]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_found);
        assert_eq!(members(&marks).unwrap(), Vec::<i32>::new());
    }
}

//! Where attempts get cgroups of their own, if this machine lets us make them.
//!
//! Only the unified hierarchy is used, for kill; on a hybrid machine it has no controllers and that is enough.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The worker's place in the cgroup tree: `shims` for zygote and shims, one leaf per attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum NoCgroups {
    #[error("no unified cgroup hierarchy is mounted")]
    NotMounted,
    #[error("this process is in no unified cgroup")]
    NotInOne,
    #[error("{} cannot be used: {source}", place.display())]
    NotOurs { place: PathBuf, source: io::Error },
}

impl Cgroups {
    /// `name` sets this worker's tree apart from those of other workers on the machine.
    pub fn open(name: &str) -> Result<Self, NoCgroups> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|_| NoCgroups::NotMounted)?;
        let mount = unified_mount(&mounts).ok_or(NoCgroups::NotMounted)?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|_| NoCgroups::NotInOne)?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or(NoCgroups::NotInOne)?;
        Self::make(&mount.join(own.trim_start_matches('/')), name)
    }

    /// The cgroup for zygote and shims.
    pub fn shims(&self) -> PathBuf {
        self.root.join("shims")
    }

    /// The cgroup of an attempt; its shim makes it.
    pub fn leaf(&self, attempt: &str) -> PathBuf {
        self.root.join(attempt)
    }

    fn make(parent: &Path, name: &str) -> Result<Self, NoCgroups> {
        // A daemon restarted from inside its own tree must not nest another level in it.
        let parent =
            if parent.ends_with("shims") { parent.parent().and_then(Path::parent).unwrap_or(parent) } else { parent };
        let root = parent.join(format!("ractorflow-{name}"));
        let cgroups = Cgroups { root };
        for dir in [cgroups.root.clone(), cgroups.shims()] {
            match fs::create_dir(&dir) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(NoCgroups::NotOurs { place: dir, source }),
            }
        }
        // A trial: may we put a process there, and can the kernel kill a whole group?
        let kill = cgroups.shims().join("cgroup.kill");
        match fs::metadata(&kill) {
            Ok(_) => Ok(cgroups),
            Err(source) => Err(NoCgroups::NotOurs { place: kill, source }),
        }
    }

    /// Removes leaves that dead shims left empty.
    pub fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            if entry.file_name() != "shims" && entry.path().is_dir() {
                // Fails while a process is inside, which is what we want.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Takes the tree away again when it is empty.
    pub fn remove(&self) {
        self.tidy();
        let _ = fs::remove_dir(self.shims());
        let _ = fs::remove_dir(&self.root);
    }
}

/// Kills what is inside the leaf of a dead shim. True when it is proven empty.
pub fn kill_leaf(leaf: &Path) -> bool {
    if !leaf.exists() {
        return true;
    }
    let _ = fs::write(leaf.join("cgroup.kill"), "1");
    fs::read_to_string(leaf.join("cgroup.events")).is_ok_and(|events| events.lines().any(|line| line == "populated 0"))
        && fs::remove_dir(leaf).is_ok()
}

fn unified_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_mount_is_found_on_pure_and_hybrid_machines() {
        let hybrid = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(unified_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(unified_mount("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0"), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(unified_mount("tmpfs / tmpfs rw 0 0"), None);
    }

    #[test]
    fn a_place_that_cannot_be_made_says_why() {
        let error = Cgroups::make(Path::new("/nonexistent"), "x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ractorflow-x"), "{error}");
    }
}

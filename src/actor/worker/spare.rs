//! Directories and files that ended attempts gave back, for the next ones.
//!
//! Making an inode and removing it a moment later is dear on ext4: before it gives one out it looks at each that was
//! deleted in the last seconds, so that hundreds of short tasks a second pay for each other. What is empty again gets
//! another name instead. Whatever does not work here is made and removed as usual: nothing depends on a spare.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connector::process::spool::SpoolFiles;

use super::tools::make_private;

/// More of a kind are removed.
const KEPT_MAX: usize = 64;
/// A directory with more in it is removed with all of it.
const ENTRIES_MAX: usize = 16;
/// One that had many entries stays large for good.
const DIRECTORY_BYTES_MAX: u64 = 4096;

pub struct Spares {
    root: PathBuf,
    owner: u32,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    last_number: u64,
}

impl Kept {
    fn next(&mut self, root: &Path, letter: char) -> PathBuf {
        self.last_number += 1;
        root.join(format!("{letter}{}", self.last_number))
    }
}

impl Spares {
    /// Begins with none: what an earlier daemon kept is removed.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        make_private(&root, true)?;
        let owner = nix::unistd::geteuid().as_raw();
        Ok(Self { root, owner, kept: Mutex::default() })
    }

    /// An empty directory of that name for this user alone. Its name must be new.
    pub fn make_directory(&self, path: &Path) -> io::Result<()> {
        let spare = self.lock().directories.pop();
        match spare.map(|spare| fs::rename(spare, path)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => make_private(path, false),
        }
    }

    /// Takes a directory whose users are gone, with the few files in it. False: it is the caller's to remove.
    pub fn give_directory(&self, path: &Path) -> bool {
        if self.lock().directories.len() >= KEPT_MAX || !self.empty(path) {
            return false;
        }
        let mut kept = self.lock();
        let spare = kept.next(&self.root, 'd');
        let is_kept = fs::rename(path, &spare).is_ok();
        if is_kept {
            kept.directories.push(spare);
        }
        is_kept
    }

    /// The path of an empty file, for one use.
    pub fn take_file(&self) -> Option<PathBuf> {
        self.lock().files.pop()
    }

    /// Takes the status of an attempt that has ended and is not needed any more. Only a whole one: its shim, which has
    /// it open, writes nothing after that. False: it is the caller's to remove.
    pub fn give_status(&self, spool: &SpoolFiles) -> bool {
        if self.lock().files.len() >= KEPT_MAX || !matches!(spool.status(), Ok(Some(_))) {
            return false;
        }
        let path = spool.status_file();
        let is_emptied = File::options().write(true).truncate(true).open(&path).is_ok();
        if !is_emptied {
            return false;
        }
        let mut kept = self.lock();
        let spare = kept.next(&self.root, 'f');
        let is_kept = fs::rename(&path, &spare).is_ok();
        if is_kept {
            kept.files.push(spare);
        }
        is_kept
    }

    /// Whether it is now as `make_private` makes one.
    fn empty(&self, path: &Path) -> bool {
        let is_plain = fs::symlink_metadata(path).is_ok_and(|meta| {
            meta.is_dir()
                && meta.mode() & 0o7777 == 0o700
                && meta.uid() == self.owner
                && meta.len() <= DIRECTORY_BYTES_MAX
        });
        let Ok(mut entries) = fs::read_dir(path) else { return false };
        let mut n_left = ENTRIES_MAX;
        is_plain
            && entries.all(|entry| {
                n_left = n_left.saturating_sub(1);
                // Fails for a directory.
                n_left > 0 && entry.is_ok_and(|entry| fs::remove_file(entry.path()).is_ok())
            })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::connector::process::wire::{FromShim, Status};

    struct Bench {
        home: tempfile::TempDir,
        spares: Spares,
    }

    impl Bench {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let spares = Spares::open(home.path().join("spare")).unwrap();
            Self { home, spares }
        }

        fn made(&self, name: &str) -> PathBuf {
            let path = self.home.path().join(name);
            self.spares.make_directory(&path).unwrap();
            path
        }

        fn ended(&self, name: &str, status: &[u8]) -> SpoolFiles {
            let spool = SpoolFiles::new(self.home.path().join(name));
            fs::write(spool.status_file(), status).unwrap();
            spool
        }
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn a_directory_that_was_given_back_is_the_next_one_and_empty() {
        let bench = Bench::new();
        let first = bench.made("a");
        fs::write(first.join("program"), "x").unwrap();
        let number = inode(&first);
        assert!(bench.spares.give_directory(&first));
        assert!(!first.exists());
        let second = bench.made("b");
        assert_eq!((inode(&second), fs::read_dir(&second).unwrap().count()), (number, 0));
        assert_ne!(inode(&bench.made("c")), number);
    }

    #[test]
    fn a_directory_that_is_not_as_it_was_is_left_to_the_caller() {
        let bench = Bench::new();
        let (deep, open, full) = (bench.made("deep"), bench.made("open"), bench.made("full"));
        fs::create_dir(deep.join("more")).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        (0..ENTRIES_MAX).for_each(|number| fs::write(full.join(number.to_string()), "").unwrap());
        for path in [deep, open, full] {
            assert!(!bench.spares.give_directory(&path) && path.exists(), "{path:?}");
        }
    }

    #[test]
    fn only_a_whole_status_is_given_back_and_it_is_empty_then() {
        let bench = Bench::new();
        let whole = FromShim::Exited(Box::new(Status::default())).encode();
        for (name, bytes) in [("claimed", &[][..]), ("cut", &whole[..whole.len() - 1])] {
            let spool = bench.ended(name, bytes);
            assert!(!bench.spares.give_status(&spool) && spool.status_file().exists(), "{name}");
        }
        assert_eq!(bench.spares.take_file(), None);
        let spool = bench.ended("whole", &whole);
        assert!(bench.spares.give_status(&spool) && !spool.status_file().exists());
        let spare = bench.spares.take_file().unwrap();
        assert_eq!(fs::read(&spare).unwrap(), b"");
        assert_eq!(bench.spares.take_file(), None, "each is for one use");
    }

    #[test]
    fn no_more_are_kept_than_the_bound_and_none_of_an_earlier_daemon() {
        let bench = Bench::new();
        let paths: Vec<PathBuf> = (0..=KEPT_MAX).map(|number| bench.made(&number.to_string())).collect();
        let kept: Vec<bool> = paths.iter().map(|path| bench.spares.give_directory(path)).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), KEPT_MAX);
        let root = bench.home.path().join("spare");
        assert_eq!(fs::read_dir(&root).unwrap().count(), KEPT_MAX);
        Spares::open(root.clone()).unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }
}

//! Room on the disk: changes are refused before it is gone, and a file set aside (the ballast) is given up so that
//! results of running tasks still find room when it is.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::StoreError;

/// How long a look at the disk is good for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where the stores of one process are.
pub struct Space {
    directory: PathBuf,
    ballast_bytes: u64,
    free_min_bytes: u64,
    free: Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Option<Instant>,
    free_bytes: u64,
    has_ballast: bool,
    /// How often the ballast was given up.
    times_given_up: u64,
}

/// What may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Everything.
    Enough,
    /// Results only: changes that people and programs ask for are refused as `disk-full`.
    Low { free_bytes: u64 },
}

impl Space {
    /// Sets the ballast aside when there is room for it.
    pub fn open(directory: &Path, ballast_bytes: u64, free_min_bytes: u64) -> Result<Self, StoreError> {
        Self::with_free(directory, ballast_bytes, free_min_bytes, free_bytes)
    }

    /// With another way to ask how much is free.
    pub fn with_free(
        directory: &Path,
        ballast_bytes: u64,
        free_min_bytes: u64,
        free: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|error| StoreError::io(directory, error))?;
        let has_ballast = directory.join(BALLAST).exists();
        let seen = Mutex::new(Seen { at: None, free_bytes: 0, has_ballast, times_given_up: 0 });
        let space = Self { directory: directory.to_owned(), ballast_bytes, free_min_bytes, free: Box::new(free), seen };
        space.room();
        Ok(space)
    }

    /// Looks at the disk, at most twice a second. Takes up the ballast again once there is plenty of room.
    pub fn room(&self) -> Room {
        let mut seen = self.seen();
        if seen.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            seen.at = Some(Instant::now());
            // A disk that cannot be asked is not full: a write will tell.
            seen.free_bytes = (self.free)(&self.directory).unwrap_or(u64::MAX);
            let needed = self.free_min_bytes.saturating_add(2 * self.ballast_bytes);
            if !seen.has_ballast && self.ballast_bytes > 0 && seen.free_bytes > needed {
                seen.has_ballast = self.take_ballast().is_ok();
            }
        }
        match seen.free_bytes < self.free_min_bytes {
            true => Room::Low { free_bytes: seen.free_bytes },
            false => Room::Enough,
        }
    }

    pub fn is_low(&self) -> bool {
        matches!(self.room(), Room::Low { .. })
    }

    /// Makes room for a write that found none: gives up the ballast, unless another write has done so since this
    /// one began, which then failed beside it. False when there is nothing to give.
    fn make_room(&self, times_before: u64) -> bool {
        let mut seen = self.seen();
        if seen.times_given_up != times_before {
            return true;
        }
        seen.at = None;
        if !std::mem::replace(&mut seen.has_ballast, false) {
            return false;
        }
        tracing::error!(directory = %self.directory.display(), "the disk is full; the ballast file is given up");
        let is_gone = std::fs::remove_file(self.directory.join(BALLAST)).is_ok();
        seen.times_given_up += u64::from(is_gone);
        is_gone
    }

    fn take_ballast(&self) -> Result<(), StoreError> {
        let path = self.directory.join(BALLAST);
        let wrap = |error| StoreError::io(&path, error);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(wrap)?;
        let taken = nix::fcntl::posix_fallocate(&file, 0, self.ballast_bytes as i64);
        taken.map_err(|errno| {
            let _ = std::fs::remove_file(&path);
            wrap(errno.into())
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nothing panics while it holds what was seen")
    }
}

const BALLAST: &str = "ballast";

/// Bytes that this user can still write.
fn free_bytes(directory: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(directory)?;
    Ok(found.blocks_available() * found.fragment_size())
}

/// Tries a write that found the disk full once more, after giving up the ballast. Any other failure is final.
pub fn with_ballast<T>(
    space: Option<&Space>,
    mut write: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let Some(space) = space else { return write() };
    let times_before = space.seen().times_given_up;
    match write() {
        Err(error) if error.is_full() && space.make_room(times_before) => write(),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn full(file: &Path) -> StoreError {
        StoreError::Sqlite { file: file.to_owned(), reason: "disk full".to_owned(), is_full: true }
    }

    #[test]
    fn changes_are_refused_while_little_is_free() {
        let home = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(5_000));
        let asked = free.clone();
        let space = Space::with_free(home.path(), 100, 1_000, move |_| Ok(asked.load(Ordering::Relaxed))).unwrap();
        assert_eq!(space.room(), Room::Enough);
        assert_eq!(std::fs::metadata(home.path().join(BALLAST)).unwrap().len(), 100);
        free.store(999, Ordering::Relaxed);
        space.seen().at = None;
        assert_eq!(space.room(), Room::Low { free_bytes: 999 });
    }

    #[test]
    fn a_full_disk_costs_the_ballast_and_the_write_is_tried_once_more() {
        let home = tempfile::tempdir().unwrap();
        let space = Space::with_free(home.path(), 100, 1_000, |_| Ok(5_000)).unwrap();
        let mut tries = 0;
        let done = with_ballast(Some(&space), || {
            tries += 1;
            if tries == 1 { Err(full(home.path())) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 2);
        assert!(!home.path().join(BALLAST).exists());
        let mut tries = 0;
        let lost: Result<(), _> = with_ballast(Some(&space), || {
            tries += 1;
            Err(full(home.path()))
        });
        assert!(lost.is_err());
        assert_eq!(tries, 1, "there is no second ballast");
        assert_eq!(space.room(), Room::Enough);
        assert!(home.path().join(BALLAST).exists(), "taken up again once there is room");
    }

    #[test]
    fn two_writes_that_find_the_disk_full_together_share_the_ballast() {
        let home = tempfile::tempdir().unwrap();
        let space = Space::with_free(home.path(), 100, 1_000, |_| Ok(500)).unwrap();
        space.take_ballast().unwrap();
        space.seen().has_ballast = true;
        let (mut outer, mut inner) = (0, 0);
        let done = with_ballast(Some(&space), || {
            outer += 1;
            if outer == 1 {
                // The other one fails and gets its room while this one is still failing.
                let other = with_ballast(Some(&space), || {
                    inner += 1;
                    if inner == 1 { Err(full(home.path())) } else { Ok(()) }
                });
                other.unwrap();
                return Err(full(home.path()));
            }
            Ok(outer)
        });
        assert_eq!(done.unwrap(), 2);
        let lost: Result<(), _> = with_ballast(Some(&space), || Err(full(home.path())));
        assert!(lost.is_err(), "who begins after that has nothing to share");
    }

    #[test]
    fn a_failure_that_is_not_a_full_disk_is_never_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let space = Space::with_free(home.path(), 100, 1_000, |_| Ok(5_000)).unwrap();
        let mut tries = 0;
        let lost: Result<(), _> = with_ballast(Some(&space), || {
            tries += 1;
            Err(StoreError::Sqlite {
                file: home.path().to_owned(),
                reason: "disk I/O error".to_owned(),
                is_full: false,
            })
        });
        assert!(lost.is_err());
        assert_eq!(tries, 1);
        assert!(home.path().join(BALLAST).exists());
    }
}

//! Files of this host. They are read and written by calls that block.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::error::FileError;
use super::pattern::{PART, Pattern};
use super::{Found, ReadFile, WriteFile};

/// Looks for a name that nobody else is just taking away.
const TRIES: usize = 16;

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError {
    |error| FileError::Io { place: path.display().to_string(), error }
}

fn not_a_file(path: &Path) -> FileError {
    FileError::NotAFile { place: path.display().to_string() }
}

fn busy(path: &Path) -> FileError {
    FileError::Busy { place: path.display().to_string() }
}

/// What is at this path. It may be a pipe: then it is read once, and its end is waited for.
pub(super) fn open(path: &Path) -> Result<Box<dyn ReadFile>, FileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound { place: path.display().to_string(), is_here: true },
        _ => io_error(path)(error),
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(not_a_file(path));
    }
    Ok(Box::new(LocalSource { length: meta.is_file().then_some(meta.len()), file }))
}

/// A file that will be at this path. What is there stays until then.
pub(super) fn create(path: &Path) -> Result<Box<dyn WriteFile>, FileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => io_error(path.parent().unwrap_or(path))(error),
        _ => io_error(path)(error),
    };
    // What a link points at is replaced, not the link.
    let place = match fs::canonicalize(path) {
        Ok(place) => place,
        Err(_) => path.to_owned(),
    };
    let mode = match fs::metadata(&place) {
        Ok(meta) if !meta.is_file() => return Err(not_a_file(path)),
        Ok(meta) => Some(meta.mode() & 0o7777),
        Err(_) => None,
    };
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(not_a_file(path));
    };
    let part = parent.join(format!(".{}{PART}", name.to_string_lossy()));
    let file = locked(&part, path).map_err(|error| error.unwrap_or_else(failed))?;
    let mut target = LocalTarget { file, part, place, is_published: false };
    target.file.set_len(0).map_err(failed)?;
    if let Some(mode) = mode {
        target.file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    }
    target.flush().map_err(failed)?;
    Ok(Box::new(target))
}

/// Removes what is there.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        _ => Ok(()),
    }
}

/// Sizes of the files of a directory, by name.
pub(super) fn list(directory: &Path, pattern: &Pattern, max: usize) -> Result<BTreeMap<String, u64>, FileError> {
    let place = || directory.display().to_string();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::NoDirectory { place: place(), is_here: true },
        _ => io_error(directory)(error),
    };
    let mut found = BTreeMap::new();
    for (at, entry) in fs::read_dir(directory).map_err(failed)?.enumerate() {
        if at >= max {
            return Err(FileError::TooManyEntries { place: place(), max });
        }
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !pattern.is_match(&name) {
            continue;
        }
        // Follows links. One that was deleted since is not there.
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        if meta.is_file() {
            found.insert(name, meta.len());
        }
    }
    Ok(found)
}

pub(super) fn look(path: &Path) -> Result<Found, FileError> {
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound { place: path.display().to_string(), is_here: true },
        _ => io_error(path)(error),
    })?;
    Ok(if meta.is_dir() { Found::Directory } else { Found::File { bytes: meta.len() } })
}

/// Are both one file, whatever way their names take?
pub(super) fn is_same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    a == b || identity(a).is_some_and(|own| identity(b) == Some(own))
}

/// Only one at a time writes it; what a killed one left is begun anew.
fn locked(part: &Path, path: &Path) -> Result<Flock<File>, Result<FileError, io::Error>> {
    for _ in 0..TRIES {
        let file = File::options().create(true).write(true).truncate(false).open(part).map_err(Err)?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(Ok(busy(path))),
            Err((_, error)) => return Err(Err(error.into())),
        };
        // Another one may have put it in its place since it was opened.
        let (own, there) = (file.metadata().map_err(Err)?, fs::metadata(part));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            return Ok(file);
        }
    }
    Err(Ok(busy(path)))
}

struct LocalSource {
    file: File,
    length: Option<u64>,
}

impl Read for LocalSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl ReadFile for LocalSource {
    fn length(&self) -> Option<u64> {
        self.length
    }
}

struct LocalTarget {
    file: Flock<File>,
    part: PathBuf,
    place: PathBuf,
    is_published: bool,
}

impl Write for LocalTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for LocalTarget {
    fn publish(mut self: Box<Self>) -> io::Result<()> {
        nix::unistd::fsync(self.file.as_fd())?;
        fs::rename(&self.part, &self.place)?;
        self.is_published = true;
        // The name is on the disk too, where the file system lets us ask for it.
        if let Some(parent) = self.place.parent().and_then(|parent| File::open(parent).ok()) {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

impl Drop for LocalTarget {
    fn drop(&mut self) {
        if !self.is_published {
            // It is still locked: nobody else's file.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.txt");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut dropped = create(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        assert!(matches!(create(&path).err(), Some(FileError::Busy { .. })));
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What a killed one left.
        fs::write(dir.path().join(".out.txt.part"), "a long rest of an older one").unwrap();
        let mut written = create(&path).unwrap();
        written.write_all(b"new").unwrap();
        written.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_and_what_it_points_at_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (real, name) = (dir.path().join("real"), dir.path().join("name"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &name).unwrap();
        let mut written = create(&name).unwrap();
        written.write_all(b"new").unwrap();
        written.publish().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&name).unwrap().is_symlink());
        assert!(is_same(&real, &name) && !is_same(&real, dir.path()));
    }

    #[test]
    fn what_is_no_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(&dir.path().join("none")).err(), Some(FileError::NotFound { .. })));
        assert!(matches!(open(dir.path()).err(), Some(FileError::NotAFile { .. })));
        assert!(matches!(create(dir.path()).err(), Some(FileError::NotAFile { .. })));
        assert!(create(&dir.path().join("no/where")).is_err());
    }

    #[test]
    fn a_directory_is_listed_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("a.csv", "12"), ("b.csv", "1"), ("c.txt", "")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::create_dir(dir.path().join("d.csv")).unwrap();
        let pattern = Pattern::new("*.csv").unwrap();
        let found = list(dir.path(), &pattern, 4).unwrap();
        assert_eq!(found, BTreeMap::from([("a.csv".to_owned(), 2), ("b.csv".to_owned(), 1)]));
        let said = list(dir.path(), &pattern, 3).unwrap_err().said().english();
        assert!(said.ends_with("has more than 3 entries (worker.monitor_entries_max)"), "{said}");
        assert!(matches!(list(&dir.path().join("x"), &pattern, 9), Err(FileError::NoDirectory { .. })));
        assert_eq!(look(&dir.path().join("a.csv")).unwrap(), Found::File { bytes: 2 });
        assert_eq!(look(dir.path()).unwrap(), Found::Directory);
    }
}

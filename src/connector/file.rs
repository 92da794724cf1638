//! Files of file links: what reads one, and what writes one so that it is there whole or not at all.
//!
//! Both are plain streams that block, for a thread of their own; another file system is another pair of them. This
//! build has local files.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::link::{FileKind, FileLink};
use crate::model::message::Message;
use crate::say;

/// Looks for a name that nobody else is just taking away.
const TRIES: usize = 16;

/// A file that is read from its beginning to its end.
pub trait ReadFile: Read + Send {
    /// Bytes, where it is known before.
    fn length(&self) -> Option<u64>;
}

/// A file that is written beside the one that it will replace. Dropped without `publish` it leaves nothing.
pub trait WriteFile: Write + Send {
    /// Puts it in its place, once it lies on the disk.
    fn publish(self: Box<Self>) -> io::Result<()>;
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum FileError {
    NotBuilt {
        link: String,
        kind: FileKind,
    },
    Relative {
        path: PathBuf,
    },
    NotFound {
        path: PathBuf,
    },
    NotAFile {
        path: PathBuf,
    },
    /// Somebody else writes it at this moment.
    Busy {
        path: PathBuf,
    },
    Io {
        path: PathBuf,
        error: io::Error,
    },
}

impl FileError {
    pub fn said(&self) -> Message {
        match self {
            Self::NotBuilt { link, kind } => {
                say!("file link {}: this build reads and writes local files, {} is not in it", link, kind.word())
            }
            Self::Relative { path } => say!("the path {} must be absolute", path),
            Self::NotFound { path } => say!("there is no file {} on this worker", path),
            Self::NotAFile { path } => say!("{} is not a regular file", path),
            Self::Busy { path } => say!("another transfer is writing {}", path),
            Self::Io { path, error } => say!("{}: {}", path, error.to_string()),
        }
    }
}

/// What the link has at this path. It may be a pipe: then it is read once, and its end is waited for.
pub fn open(link: &FileLink, path: &Path) -> Result<Box<dyn ReadFile>, FileError> {
    let path = local(link, path)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound { path: path.to_owned() },
        _ => FileError::Io { path: path.to_owned(), error },
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    Ok(Box::new(LocalSource { length: meta.is_file().then_some(meta.len()), file }))
}

/// A file that will be at this path. What is there stays until then.
pub fn create(link: &FileLink, path: &Path) -> Result<Box<dyn WriteFile>, FileError> {
    let path = local(link, path)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            FileError::Io { path: parent.to_owned(), error }
        }
        _ => FileError::Io { path: path.to_owned(), error },
    };
    // What a link points at is replaced, not the link.
    let place = match fs::canonicalize(path) {
        Ok(place) => place,
        Err(_) => path.to_owned(),
    };
    let mode = match fs::metadata(&place) {
        Ok(meta) if !meta.is_file() => return Err(FileError::NotAFile { path: path.to_owned() }),
        Ok(meta) => Some(meta.mode() & 0o7777),
        Err(_) => None,
    };
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(FileError::NotAFile { path: path.to_owned() });
    };
    let part = parent.join(format!(".{}.part", name.to_string_lossy()));
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
pub fn remove(link: &FileLink, path: &Path) -> Result<(), FileError> {
    let path = local(link, path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::Io { path: path.to_owned(), error }),
        _ => Ok(()),
    }
}

/// Are both one file, whatever way their names take?
pub fn is_same(a: (&FileLink, &Path), b: (&FileLink, &Path)) -> bool {
    if a.0.kind != FileKind::Local || b.0.kind != FileKind::Local {
        return a.0.name == b.0.name && a.1 == b.1;
    }
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    a.1 == b.1 || identity(a.1).is_some_and(|own| identity(b.1) == Some(own))
}

fn local<'p>(link: &FileLink, path: &'p Path) -> Result<&'p Path, FileError> {
    match link.kind {
        FileKind::Local if path.is_absolute() => Ok(path),
        FileKind::Local => Err(FileError::Relative { path: path.to_owned() }),
        kind => Err(FileError::NotBuilt { link: link.name.clone(), kind }),
    }
}

/// Only one at a time writes it; what a killed one left is begun anew.
fn locked(part: &Path, path: &Path) -> Result<Flock<File>, Result<FileError, io::Error>> {
    for _ in 0..TRIES {
        let file = File::options().create(true).write(true).truncate(false).open(part).map_err(Err)?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(Ok(FileError::Busy { path: path.to_owned() })),
            Err((_, error)) => return Err(Err(error.into())),
        };
        // Another one may have put it in its place since it was opened.
        let (own, there) = (file.metadata().map_err(Err)?, fs::metadata(part));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            return Ok(file);
        }
    }
    Err(Ok(FileError::Busy { path: path.to_owned() }))
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
    use crate::connector::link::{self, LOCAL};

    fn local_link() -> FileLink {
        link::file_link(Path::new("/nonexistent"), LOCAL).unwrap()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (link, path) = (local_link(), dir.path().join("out.txt"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut dropped = create(&link, &path).unwrap();
        dropped.write_all(b"half").unwrap();
        assert!(matches!(create(&link, &path).err(), Some(FileError::Busy { .. })));
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What a killed one left.
        fs::write(dir.path().join(".out.txt.part"), "a long rest of an older one").unwrap();
        let mut written = create(&link, &path).unwrap();
        written.write_all(b"new").unwrap();
        written.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_and_what_it_points_at_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real, name) = (local_link(), dir.path().join("real"), dir.path().join("name"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &name).unwrap();
        let mut written = create(&link, &name).unwrap();
        written.write_all(b"new").unwrap();
        written.publish().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&name).unwrap().is_symlink());
        assert!(is_same((&link, &real), (&link, &name)) && !is_same((&link, &real), (&link, dir.path())));
    }

    #[test]
    fn what_is_no_file_of_this_build_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let sftp = FileLink { kind: FileKind::Sftp, name: "far".into(), ..local_link() };
        let said = open(&sftp, Path::new("/a")).err().unwrap().to_string();
        assert_eq!(said, "file link far: this build reads and writes local files, SFTP is not in it");
        assert!(matches!(open(&local_link(), Path::new("a")).err(), Some(FileError::Relative { .. })));
        assert!(matches!(open(&local_link(), &dir.path().join("none")).err(), Some(FileError::NotFound { .. })));
        assert!(matches!(open(&local_link(), dir.path()).err(), Some(FileError::NotAFile { .. })));
        assert!(matches!(create(&local_link(), dir.path()).err(), Some(FileError::NotAFile { .. })));
        assert!(create(&local_link(), &dir.path().join("no/where")).is_err());
    }
}

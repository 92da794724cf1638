//! Reading an attempt's spool: the status and the log as one stream of frames.
//!
//! While the attempt runs the stream is the file `NAME.log`. When it is over and its output was over the cap, the
//! mark of the cut and the two tails follow, so the stream only ever grows at its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame;
use super::wire::Status;

/// The files of one attempt on the worker, in a directory with those of the others: making and removing one for
/// each would cost as much as the shim.
#[derive(Debug, Clone)]
pub struct SpoolFiles {
    /// Path without extension.
    base: PathBuf,
}

/// Extensions of all files that an attempt may have.
const EXTENSIONS: [&str; 8] = ["status", "log", "tail0", "tail1", "output", "params", "spec", "dropped"];

impl SpoolFiles {
    pub fn new(base: PathBuf) -> Self {
        SpoolFiles { base }
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The attempt's name that a file in the spool belongs to.
    pub fn name_of(file: &str) -> Option<&str> {
        let (name, extension) = file.rsplit_once('.')?;
        EXTENSIONS.contains(&extension).then_some(name)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.base.with_added_extension(extension)
    }

    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// File that the task writes its outputs to.
    pub fn output(&self) -> PathBuf {
        self.file("output")
    }

    pub fn params(&self) -> PathBuf {
        self.file("params")
    }

    /// There from the moment at which the attempt is claimed.
    pub fn status_file(&self) -> PathBuf {
        self.file("status")
    }

    /// The exit status, once the shim has written it.
    pub fn status(&self) -> io::Result<Option<Status>> {
        match std::fs::read(self.status_file()) {
            // Empty: claimed. Cut short: its shim died over it.
            Ok(bytes) => Ok(Status::decode(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the attempt for the worker itself, so that no shim can start it any more. False when a shim has it.
    pub fn claim(&self) -> io::Result<bool> {
        match File::options().write(true).create_new(true).open(self.status_file()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets go of the output and remembers how long it was, for the mark of the cut.
    pub fn drop_output(&self, length: u64) -> io::Result<()> {
        std::fs::write(self.file("dropped"), length.to_string())?;
        self.remove_all_but("dropped")
    }

    /// How long the output was that was let go of.
    pub fn dropped(&self) -> Option<u64> {
        std::fs::read_to_string(self.file("dropped")).ok()?.trim().parse().ok()
    }

    /// Removes everything of it.
    pub fn remove(&self) -> io::Result<()> {
        self.remove_all_but("")
    }

    fn remove_all_but(&self, kept: &str) -> io::Result<()> {
        for extension in EXTENSIONS.into_iter().filter(|extension| *extension != kept) {
            match std::fs::remove_file(self.file(extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Length of the stream now; final when the status is given.
    pub fn len(&self, status: Option<&Status>) -> u64 {
        self.parts(status).iter().map(Part::len).sum()
    }

    /// Bytes of the stream from `offset`, at most `max`; fewer at its present end.
    pub fn read(&self, status: Option<&Status>, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut at = offset;
        let mut start = 0;
        for part in self.parts(status) {
            let end = start + part.len();
            while at < end && out.len() < max {
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(max - out.len());
                let read = part.read(at - start, wanted)?;
                if read.is_empty() {
                    return Ok(out);
                }
                at += read.len() as u64;
                out.extend_from_slice(&read);
            }
            start = end;
        }
        Ok(out)
    }

    /// Bytes on disk.
    pub fn disk_bytes(&self) -> u64 {
        EXTENSIONS
            .iter()
            .filter_map(|extension| std::fs::metadata(self.file(extension)).ok())
            .map(|meta| meta.len())
            .sum()
    }

    fn parts(&self, status: Option<&Status>) -> Vec<Part> {
        let Some(status) = status else {
            let length = std::fs::metadata(self.log()).map_or(0, |meta| meta.len());
            return vec![Part::File { path: self.log(), length }];
        };
        let mut parts = vec![Part::File { path: self.log(), length: status.head_bytes }];
        if let Some(cut) = status.cut {
            let names = if cut.older_is_first { ["tail0", "tail1"] } else { ["tail1", "tail0"] };
            if cut.dropped_bytes > 0 {
                parts.push(Part::Mark(frame::cut_mark(status.finished_ms, cut.dropped_bytes, cut.dropped_lines)));
            }
            for (name, length) in names.into_iter().zip([cut.older_bytes, cut.newer_bytes]) {
                parts.push(Part::File { path: self.file(name), length });
            }
        }
        parts
    }
}

enum Part {
    File { path: PathBuf, length: u64 },
    Mark(Vec<u8>),
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Part::File { length, .. } => *length,
            Part::Mark(bytes) => bytes.len() as u64,
        }
    }

    fn read(&self, at: u64, max: usize) -> io::Result<Vec<u8>> {
        match self {
            Part::File { path, .. } => read_at(path, at, max),
            Part::Mark(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[from..(from + max).min(bytes.len())].to_vec())
            }
        }
    }
}

fn read_at(path: &Path, at: u64, max: usize) -> io::Result<Vec<u8>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Nothing was written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let max = max.min(usize::try_from(file.metadata()?.len().saturating_sub(at)).unwrap_or(max));
    let mut bytes = vec![0; max];
    let mut filled = 0;
    while filled < max {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

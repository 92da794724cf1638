//! Looks at a directory of definitions and says what changed since the last look.
//!
//! Owns the rule for "this file is complete": a path counts once two looks, at least `settle` apart, found the
//! same size, modification time and inode, and reading it changed none of them. Knows no cluster and parses
//! nothing. A file that goes is reported only after `gone_after`; one that reappears under another name within
//! the same look, with the same content, is a move. The files that a definition names belong to its content. Start
//! reading at `Scan::look`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::engine::definition::{content_of, hash_of};
use crate::model::id::ContentHash;
use crate::node::beside;

use super::attached::{Looks, Named, Stamp};

#[derive(Debug, Clone)]
pub struct ScanLimits {
    /// Two looks must agree at least this far apart.
    pub settle: Duration,
    /// A missing file is reported gone after this long.
    pub gone_after: Duration,
    /// Larger files are reported as unreadable instead of being read.
    pub file_bytes_max: u64,
    /// The files that one definition names, together.
    pub attached_bytes_max: u64,
    /// More files than this and the rest is not looked at.
    pub files_max: usize,
    /// Directory levels below the root; deeper ones are not entered.
    pub depth_max: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(200),
            gone_after: Duration::from_secs(10),
            file_bytes_max: 4 << 20,
            attached_bytes_max: 1 << 30,
            files_max: 100_000,
            depth_max: 32,
        }
    }
}

/// What a look found. Paths are relative to the root, with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// New content, complete as far as the file system can tell.
    Content {
        path: String,
        hash: ContentHash,
        bytes: Vec<u8>,
    },
    /// The same content under another name.
    Moved {
        from: String,
        to: String,
        hash: ContentHash,
    },
    Gone {
        path: String,
    },
    Unreadable {
        path: String,
        reason: String,
    },
}

#[derive(Debug)]
struct Seen {
    /// `None`: not looked at by this process yet.
    stamp: Option<Stamp>,
    stable_since: Instant,
    /// The stamp that was last read, so that an unchanged file is not read again.
    read: Option<Stamp>,
    /// Of the text alone, and the files that it names.
    text: Option<(ContentHash, Vec<String>)>,
    named: Vec<Named>,
    /// Some of those still change.
    is_waiting: bool,
    hash: Option<ContentHash>,
    missing_since: Option<Instant>,
    unreadable: Option<String>,
}

impl Seen {
    fn new(stamp: Option<Stamp>, now: Instant) -> Self {
        Self {
            stamp,
            stable_since: now,
            read: None,
            text: None,
            named: Vec::new(),
            is_waiting: false,
            hash: None,
            missing_since: None,
            unreadable: None,
        }
    }
}

#[derive(Default)]
pub struct Scan {
    root: PathBuf,
    limits: ScanLimits,
    seen: BTreeMap<String, Seen>,
    attached: Looks,
}

/// What a definition is at this moment, with the files that it names.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    pub hash: ContentHash,
    pub bytes: Vec<u8>,
    pub named: Vec<Named>,
}

impl Scan {
    pub fn new(root: PathBuf, limits: ScanLimits) -> Self {
        let attached = Looks::new(root.clone(), limits.settle, limits.attached_bytes_max);
        Self { root, limits, seen: BTreeMap::new(), attached }
    }

    /// Paths and hashes of everything complete: the full listing that a source starts with.
    pub fn listing(&self) -> Vec<(String, ContentHash)> {
        self.seen
            .iter()
            .filter(|(_, seen)| seen.missing_since.is_none())
            .filter_map(|(path, seen)| Some((path.clone(), seen.hash.clone()?)))
            .collect()
    }

    /// Some file is being written or has just gone: look again after `settle`.
    pub fn is_unsettled(&self) -> bool {
        let changes = |seen: &Seen| seen.missing_since.is_some() || seen.read != seen.stamp || seen.is_waiting;
        self.seen.values().any(changes)
    }

    /// Makes the next look report `path` again although nothing changed on disk.
    pub fn forget(&mut self, path: &str) {
        if let Some(seen) = self.seen.get_mut(path) {
            seen.read = None;
            seen.hash = None;
        }
    }

    /// The content of `path` as it is now, if it is still what the last look reported.
    pub fn read_again(&self, path: &str) -> Option<Whole> {
        let seen = self.seen.get(path)?;
        let (hash, (text, _)) = (seen.hash.clone()?, seen.text.as_ref()?);
        let bytes = read_capped(&self.root.join(path), self.limits.file_bytes_max).ok()?;
        (*text == hash_of(&bytes)).then(|| Whole { hash, bytes, named: seen.named.clone() })
    }

    /// A file that was there when somebody else last looked. Unless it turns up it will be reported gone.
    pub fn remember(&mut self, path: &str, hash: ContentHash, now: Instant) {
        let seen = Seen { hash: Some(hash), missing_since: Some(now), ..Seen::new(None, now) };
        self.seen.entry(path.to_owned()).or_insert(seen);
    }

    /// One look at the whole tree. An unreadable root finds nothing and reports nothing gone: a share that is
    /// away must not disable every workflow.
    pub fn look(&mut self, now: Instant) -> Vec<Found> {
        let mut present = BTreeMap::new();
        if !self.walk(&self.root.clone(), String::new(), 0, &mut present) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (path, stamp) in &present {
            self.look_at(path, *stamp, now, &mut found);
        }
        self.notice_missing(&present, now, &mut found);
        self.attached.keep(|path| present.contains_key(path));
        found
    }

    fn look_at(&mut self, path: &str, stamp: Stamp, now: Instant, found: &mut Vec<Found>) {
        let seen = self.seen.entry(path.to_owned()).or_insert_with(|| Seen::new(Some(stamp), now));
        seen.missing_since = None;
        if seen.stamp != Some(stamp) {
            seen.stamp = Some(stamp);
            seen.stable_since = now;
        }
        if now.duration_since(seen.stable_since) < self.limits.settle {
            return;
        }
        let full = self.root.join(path);
        let read = |is_new: bool| match read_capped(&full, self.limits.file_bytes_max) {
            // Written while we read: the next look sees the new stamp and starts over.
            Ok(_) if is_new && stamp_of(&full).ok() != Some(stamp) => None,
            read => Some(read),
        };
        let mut bytes = None;
        if seen.read != Some(stamp) {
            match read(true) {
                None => return,
                Some(Ok(text)) => {
                    seen.unreadable = None;
                    seen.text = Some((hash_of(&text), beside::names(&text)));
                    bytes = Some(text);
                }
                Some(Err(reason)) => {
                    seen.text = None;
                    if seen.unreadable.as_deref() != Some(reason.as_str()) {
                        seen.unreadable = Some(reason.clone());
                        found.push(Found::Unreadable { path: path.to_owned(), reason });
                    }
                }
            }
            seen.read = Some(stamp);
        }
        let Some((text, names)) = &seen.text else { return };
        let named = self.attached.of(path, names, now);
        seen.is_waiting = named.is_none();
        let Some(named) = named else { return };
        let hash = content_of(text, named.iter().map(|file| (file.path.as_str(), said(file))));
        seen.named = named;
        if seen.hash.as_ref() == Some(&hash) {
            return;
        }
        // A file that it names is another one now; the text may be gone by this moment, which the next look sees.
        let Some(bytes) = bytes.or_else(|| read(false)?.ok()) else { return };
        seen.hash = Some(hash.clone());
        found.push(Found::Content { path: path.to_owned(), hash, bytes });
    }

    fn notice_missing(&mut self, present: &BTreeMap<String, Stamp>, now: Instant, found: &mut Vec<Found>) {
        let mut gone = Vec::new();
        for (path, seen) in self.seen.iter_mut().filter(|(path, _)| !present.contains_key(*path)) {
            let since = *seen.missing_since.get_or_insert(now);
            if now.duration_since(since) >= self.limits.gone_after || seen.hash.is_none() {
                gone.push((path.clone(), seen.hash.is_some()));
            }
        }
        self.pair_moves(found);
        for (path, was_known) in gone {
            if self.seen.remove(&path).is_some() && was_known {
                found.push(Found::Gone { path });
            }
        }
    }

    /// A content that appeared while a path with the same content is missing is that file, renamed.
    fn pair_moves(&mut self, found: &mut [Found]) {
        for item in found.iter_mut() {
            let Found::Content { path, hash, .. } = item else { continue };
            let from = self
                .seen
                .iter()
                .find(|(_, seen)| seen.missing_since.is_some() && seen.hash.as_ref() == Some(hash))
                .map(|(from, _)| from.clone());
            if let Some(from) = from {
                self.seen.remove(&from);
                *item = Found::Moved { from, to: path.clone(), hash: hash.clone() };
            }
        }
    }

    /// False when the directory itself cannot be listed.
    fn walk(&self, directory: &Path, prefix: String, depth: usize, present: &mut BTreeMap<String, Stamp>) -> bool {
        let Ok(entries) = fs::read_dir(directory) else { return false };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') || present.len() >= self.limits.files_max {
                continue;
            }
            let relative = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            let Some(metadata) = self.metadata_inside(&entry) else { continue };
            if metadata.is_dir() {
                if depth < self.limits.depth_max && !entry.path().is_symlink() {
                    self.walk(&entry.path(), relative, depth + 1, present);
                }
            } else if metadata.is_file() && name.ends_with(".xml") {
                present.insert(relative, Stamp::of(&metadata));
            }
        }
        true
    }

    /// Follows a link only when it stays below the root, so that a link cannot bring in foreign files.
    fn metadata_inside(&self, entry: &fs::DirEntry) -> Option<fs::Metadata> {
        let metadata = entry.metadata().ok()?;
        if !metadata.is_symlink() {
            return Some(metadata);
        }
        let target = fs::canonicalize(entry.path()).ok()?;
        let root = fs::canonicalize(&self.root).ok()?;
        if target.starts_with(root) { fs::metadata(target).ok() } else { None }
    }
}

fn stamp_of(path: &Path) -> std::io::Result<Stamp> {
    fs::metadata(path).map(|metadata| Stamp::of(&metadata))
}

/// What of a named file makes the content of its definition.
fn said(file: &Named) -> String {
    match &file.found {
        Ok(held) => held.hash.to_string(),
        Err(fault) => format!("!{}", fault.english()),
    }
}

fn read_capped(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("larger than {} MiB", bytes_max >> 20));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        _directory: tempfile::TempDir,
        root: PathBuf,
        scan: Scan,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().to_owned();
            let scan = Scan::new(root.clone(), ScanLimits::default());
            Self { _directory: directory, root, scan, now: Instant::now() }
        }

        fn write(&self, path: &str, text: &str) {
            let full = self.root.join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, text).unwrap();
        }

        fn look_after(&mut self, ms: u64) -> Vec<Found> {
            self.now += Duration::from_millis(ms);
            self.scan.look(self.now)
        }
    }

    fn content(path: &str, text: &str) -> Found {
        Found::Content { path: path.to_owned(), hash: hash_of(text.as_bytes()), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn directories_deeper_than_configured_are_not_entered() {
        let mut f = Fixture::new();
        f.scan = Scan::new(f.root.clone(), ScanLimits { depth_max: 1, ..ScanLimits::default() });
        for path in ["a.xml", "one/b.xml", "one/two/c.xml"] {
            f.write(path, "<a/>");
        }
        f.look_after(0);
        assert_eq!(f.look_after(200), [content("a.xml", "<a/>"), content("one/b.xml", "<a/>")]);
    }

    #[test]
    fn a_file_counts_after_two_equal_looks_and_only_once() {
        let mut f = Fixture::new();
        f.write("a.xml", "<a/>");
        assert_eq!(f.look_after(0), []);
        assert!(f.scan.is_unsettled());
        assert_eq!(f.look_after(200), [content("a.xml", "<a/>")]);
        assert_eq!(f.look_after(200), []);
        assert!(!f.scan.is_unsettled());
    }

    #[test]
    fn a_file_that_still_grows_does_not_count() {
        let mut f = Fixture::new();
        f.write("a.xml", "<a>");
        f.look_after(0);
        f.write("a.xml", "<a></a>");
        assert_eq!(f.look_after(300), []);
        assert_eq!(f.look_after(200), [content("a.xml", "<a></a>")]);
    }

    #[test]
    fn the_same_content_written_again_is_no_change() {
        let mut f = Fixture::new();
        f.write("a.xml", "<a/>");
        f.look_after(0);
        f.look_after(200);
        fs::remove_file(f.root.join("a.xml")).unwrap();
        f.write("a.xml", "<a/>");
        f.look_after(200);
        assert_eq!(f.look_after(200), []);
    }

    #[test]
    fn equal_names_in_two_directories_are_two_files() {
        let mut f = Fixture::new();
        f.write("x/a.xml", "<a/>");
        f.write("y/a.xml", "<b/>");
        f.look_after(0);
        assert_eq!(f.look_after(200), [content("x/a.xml", "<a/>"), content("y/a.xml", "<b/>")]);
    }

    #[test]
    fn a_rename_is_a_move_and_a_deletion_is_said_after_ten_seconds() {
        let mut f = Fixture::new();
        f.write("a.xml", "<a/>");
        f.look_after(0);
        f.look_after(200);
        fs::rename(f.root.join("a.xml"), f.root.join("b.xml")).unwrap();
        assert_eq!(f.look_after(200), []);
        let hash = hash_of(b"<a/>");
        assert_eq!(f.look_after(200), [Found::Moved { from: "a.xml".into(), to: "b.xml".into(), hash }]);
        fs::remove_file(f.root.join("b.xml")).unwrap();
        assert_eq!(f.look_after(200), []);
        assert_eq!(f.look_after(9_000), []);
        assert_eq!(f.look_after(1_000), [Found::Gone { path: "b.xml".into() }]);
    }

    #[test]
    fn hidden_files_fifos_directories_and_links_out_are_left_alone() {
        let mut f = Fixture::new();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("out.xml"), "<a/>").unwrap();
        std::os::unix::fs::symlink(outside.path().join("out.xml"), f.root.join("link.xml")).unwrap();
        nix::unistd::mkfifo(&f.root.join("fifo.xml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(f.root.join("dir.xml")).unwrap();
        f.write(".hidden.xml", "<a/>");
        f.write("a.xml.swp", "<a/>");
        f.write("a.xml~", "<a/>");
        f.look_after(0);
        assert_eq!(f.look_after(200), []);
    }

    const NAMING: &str = "<work-flow name='w'><start name='s' to='a'/><action name='a'><script><code>x</code>\
        <attach-list><file>a.csv</file></attach-list></script><ok to='e'/></action><end name='e'/></work-flow>";

    impl Fixture {
        /// The content that is reported next, and the files that it is with.
        fn content_after(&mut self, ms: u64) -> Option<(ContentHash, Vec<Named>)> {
            let found = self.look_after(ms);
            let [Found::Content { path, hash, .. }] = &found[..] else {
                assert_eq!(found, []);
                return None;
            };
            let whole = self.scan.read_again(path).unwrap();
            assert_eq!((&whole.hash, whole.bytes), (hash, NAMING.as_bytes().to_vec()));
            Some((whole.hash, whole.named))
        }
    }

    #[test]
    fn a_file_that_a_definition_names_belongs_to_its_content() {
        let mut f = Fixture::new();
        f.write("w.xml", NAMING);
        f.write("a.csv", "1");
        f.look_after(0);
        assert_eq!(f.content_after(200), None, "the file beside it was seen for the first time");
        assert!(f.scan.is_unsettled());
        let (first, named) = f.content_after(200).unwrap();
        assert_eq!((named[0].path.as_str(), named[0].found.as_ref().unwrap().hash.clone()), ("a.csv", hash_of(b"1")));
        assert_eq!(f.content_after(1_000), None);
        assert!(!f.scan.is_unsettled());
        f.write("a.csv", "22");
        assert_eq!(f.content_after(200), None);
        assert!(f.scan.is_unsettled(), "it may still be being written");
        let (second, _) = f.content_after(200).unwrap();
        assert_ne!(first, second);
        f.write("a.csv", "1");
        f.look_after(200);
        assert_eq!(f.content_after(200).unwrap().0, first, "the content decides, not when it was written");
    }

    #[test]
    fn a_named_file_that_is_missing_or_too_large_is_said_and_comes_later() {
        let mut f = Fixture::new();
        f.scan = Scan::new(f.root.clone(), ScanLimits { attached_bytes_max: 3, ..ScanLimits::default() });
        f.write("w.xml", NAMING);
        f.look_after(0);
        f.look_after(200);
        let (_, named) = f.content_after(200).unwrap();
        assert_eq!(named[0].found.as_ref().unwrap_err().english(), "there is no file a.csv");
        f.write("a.csv", "1234");
        f.look_after(200);
        let (_, named) = f.content_after(200).unwrap();
        assert!(named[0].found.as_ref().unwrap_err().english().contains("may have 3 together"));
        f.write("a.csv", "123");
        f.look_after(200);
        assert!(f.content_after(200).unwrap().1[0].found.is_ok());
    }

    #[test]
    fn a_definition_that_moves_with_its_files_is_a_move() {
        let mut f = Fixture::new();
        f.write("one/w.xml", NAMING);
        f.write("one/a.csv", "1");
        f.look_after(0);
        f.look_after(200);
        let (hash, _) = f.content_after(200).unwrap();
        fs::rename(f.root.join("one"), f.root.join("two")).unwrap();
        f.look_after(200);
        f.look_after(200);
        let moved = Found::Moved { from: "one/w.xml".into(), to: "two/w.xml".into(), hash };
        assert_eq!(f.look_after(200), [moved]);
    }

    #[test]
    fn a_missing_root_reports_nothing_gone() {
        let mut f = Fixture::new();
        f.write("a.xml", "<a/>");
        f.look_after(0);
        f.look_after(200);
        fs::rename(&f.root, f.root.with_extension("away")).unwrap();
        assert_eq!(f.look_after(60_000), []);
        fs::rename(f.root.with_extension("away"), &f.root).unwrap();
        assert_eq!(f.look_after(200), []);
    }

    #[test]
    fn a_file_above_the_cap_is_unreadable_once() {
        let mut f = Fixture::new();
        f.scan.limits.file_bytes_max = 3;
        f.write("a.xml", "<aaa/>");
        f.look_after(0);
        assert!(matches!(&f.look_after(200)[..], [Found::Unreadable { .. }]));
        assert_eq!(f.look_after(200), []);
    }
}

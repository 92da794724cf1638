//! The files that a definition names, looked for where the definition is: beside it, then from the top of its
//! directory. Nothing outside of that directory is opened, whatever links there are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::model::attachment::{AttachedFile, FilePlace};
use crate::model::definition::{Definition, NodeKind};
use crate::model::id::{ContentHash, NodeIndex};
use crate::model::message::Message;
use crate::say;
use crate::xml;

use super::spec;

/// A file that is there.
#[derive(Debug)]
pub struct Beside {
    /// Relative to the directory of definitions.
    pub path: String,
    pub file: File,
    pub metadata: Metadata,
}

/// The relative paths that a definition names, each once, as they are written. Also of one with faults.
pub fn names(bytes: &[u8]) -> Vec<String> {
    // Most definitions name none, and need not be read for that.
    let text = xml::text_of(bytes);
    if !text.contains("attach-") && !text.contains("file-executor") {
        return Vec::new();
    }
    let found: RefCell<Vec<String>> = RefCell::default();
    let look = |path: &str| {
        let mut found = found.borrow_mut();
        if !found.iter().any(|known| known == path) {
            found.push(path.to_owned());
        }
        Ok(())
    };
    xml::read(&xml::Input { files: Some(&look), ..xml::Input::new(bytes, "", spec::all()) });
    found.into_inner()
}

/// Those of a definition that are held, for each node that names them.
pub fn attached(definition: &Definition, held: &BTreeMap<String, (ContentHash, u64)>) -> Vec<AttachedFile> {
    let mut files: Vec<AttachedFile> = Vec::new();
    for (at, node) in definition.nodes.iter().enumerate() {
        let NodeKind::Action(action) = &node.kind else { continue };
        let Some(spec) = spec::find(&action.body.word) else { continue };
        for named in (spec.files)(&action.body.tree) {
            if let Some((hash, bytes)) = held.get(&named.path) {
                let node = NodeIndex(at as u32);
                files.push(AttachedFile { node, path: named.path, hash: hash.clone(), bytes: *bytes });
            }
        }
    }
    files
}

/// The paths that are looked for on workers, as far as they are known.
pub fn on_workers(definition: &Definition) -> Vec<String> {
    let actions = definition.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Action(action) => Some(action),
        _ => None,
    });
    let mut paths: Vec<String> = actions
        .filter_map(|action| Some((spec::find(&action.body.word)?.files)(&action.body.tree)))
        .flatten()
        .map(|named| named.path)
        .filter(|path| matches!(FilePlace::of(path), Ok(FilePlace::Worker | FilePlace::Late)))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// `bytes_max`: of all files of a definition.
pub fn too_large(file: &Beside, bytes_max: u64) -> Message {
    say!(
        "{} has {} bytes; the files of a definition may have {} together (definitions.attached_bytes_max)",
        file.path,
        file.metadata.len(),
        bytes_max
    )
}

/// Opens the file that `definition` (a path below `root`) means by `path`.
pub fn find(root: &Path, definition: &str, path: &str) -> Result<Beside, Message> {
    let FilePlace::Definition(place) = FilePlace::of(path)? else {
        return Err(say!("\"{}\" cannot be a path", path));
    };
    let directory = definition.rsplit_once('/').map(|(directory, _)| format!("{directory}/{place}"));
    // akkaflow's paths begin where its xmlconfig/ is.
    let from_home =
        root.file_name().and_then(OsStr::to_str).and_then(|name| place.strip_prefix(name)?.strip_prefix('/'));
    let from_home = from_home.map(str::to_owned);
    for candidate in directory.into_iter().chain([place]).chain(from_home) {
        match open_beneath(root, &candidate) {
            Ok(file) => {
                let metadata = file.metadata().map_err(|error| say!("{}: {}", path, error.to_string()))?;
                if !metadata.is_file() {
                    return Err(say!("{} is not a regular file", candidate));
                }
                return Ok(Beside { path: candidate, file, metadata });
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) if is_outside(&error) => {
                return Err(say!("{} is a link that leads out of the directory of definitions", candidate));
            }
            Err(error) => return Err(say!("{} cannot be read: {}", candidate, error.to_string())),
        }
    }
    Err(say!("there is no file {}", path))
}

fn is_outside(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EXDEV | Errno::ELOOP))
}

/// A FIFO does not block it, and no link, not even one that is put there meanwhile, leads it out.
fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    let directory = File::open(root)?;
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(&directory, path, how) {
        Ok(file) => Ok(File::from(file)),
        // A kernel before 5.6.
        Err(Errno::ENOSYS) => {
            let (real, top) = (root.join(path).canonicalize()?, root.canonicalize()?);
            if !real.starts_with(top) {
                return Err(Errno::EXDEV.into());
            }
            File::options().read(true).custom_flags((flags | OFlag::O_NOFOLLOW).bits()).open(real)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn said(found: Result<Beside, Message>) -> String {
        found.map_or_else(|fault| fault.english(), |found| found.path)
    }

    #[test]
    fn a_file_is_looked_for_beside_the_definition_and_then_from_the_top() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("xmlconfig");
        fs::create_dir_all(root.join("dw/lib")).unwrap();
        for path in ["a.sh", "dw/a.sh", "dw/lib/b.sh", "top.csv"] {
            fs::write(root.join(path), path).unwrap();
        }
        for (definition, path, wanted) in [
            ("dw/orders.xml", "a.sh", "dw/a.sh"),
            ("orders.xml", "./a.sh", "a.sh"),
            ("dw/orders.xml", "lib/b.sh", "dw/lib/b.sh"),
            ("dw/orders.xml", "dw/lib/b.sh", "dw/lib/b.sh"),
            ("dw/orders.xml", "top.csv", "top.csv"),
            ("dw/orders.xml", "xmlconfig/dw/a.sh", "dw/a.sh"),
            ("dw/orders.xml", "none.csv", "there is no file none.csv"),
            ("dw/orders.xml", "lib", "dw/lib is not a regular file"),
        ] {
            assert_eq!(said(find(&root, definition, path)), wanted, "{path}");
        }
    }

    #[test]
    fn no_link_leads_out_and_nothing_blocks() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("xmlconfig");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(home.path().join("secret"), "s").unwrap();
        fs::write(root.join("sub/real"), "r").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink(home.path(), root.join("up")).unwrap();
        symlink("sub/real", root.join("within")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (path, wanted) in [
            ("out", "leads out"),
            ("up/secret", "leads out"),
            ("../secret", "leads out"),
            ("within", "within"),
            ("fifo", "not a regular file"),
        ] {
            let said = said(find(&root, "w.xml", path));
            assert!(said.contains(wanted), "{path}: {said}");
        }
    }

    #[test]
    fn names_are_found_in_a_definition_with_other_faults_too() {
        let text = "<work-flow name='w'><start name='s' to='a'/><action name='a'><script><code>x</code>\
                    <attach-list><file>a.sh</file><file>/opt/b</file><file>a.sh</file></attach-list></script>\
                    <ok to='nowhere'/></action><action name='b'><file-executor><command>sh bin/c.sh 1</command>\
                    </file-executor><ok to='e'/></action><end name='e'/></work-flow>";
        assert_eq!(names(text.as_bytes()), ["a.sh", "bin/c.sh"]);
        assert!(names(b"<work-flow name='w'/>").is_empty());
    }
}

//! Which directory is which: a UUID file in it, so that processes or hosts sharing the directory are one source.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::model::id::SourceId;

/// The file that names a directory of definitions.
pub const FILE: &str = ".ractorflow-source";

/// Reads the directory's UUID, making it if there is none. A directory that cannot be written is named by a
/// hash of machine id, device and inode instead.
///
/// # Errors
/// The directory itself cannot be looked at.
pub fn identify(directory: &Path) -> std::io::Result<SourceId> {
    let path = directory.join(FILE);
    for _ in 0..2 {
        if let Ok(text) = fs::read_to_string(&path) {
            let text = text.trim();
            if uuid::Uuid::parse_str(text).is_ok() {
                return Ok(SourceId::from(text));
            }
        }
        // O_EXCL: of two processes that start at once one writes, the other reads what it wrote.
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        match made {
            Ok(mut file) => {
                let id = uuid::Uuid::new_v4().to_string();
                file.write_all(id.as_bytes())?;
                file.sync_all()?;
                return Ok(SourceId::from(id));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(_) => break,
        }
    }
    let metadata = fs::metadata(directory)?;
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let hash = crate::model::hash::fixed(&[
        machine.trim().as_bytes(),
        &metadata.dev().to_le_bytes(),
        &metadata.ino().to_le_bytes(),
    ]);
    Ok(SourceId::from(format!("unwritable-{hash:016x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_name_and_two_directories_differ() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = identify(a.path()).unwrap();
        assert_eq!(identify(a.path()).unwrap(), name);
        assert_ne!(identify(b.path()).unwrap(), name);
    }

    #[test]
    fn a_damaged_name_file_falls_back_to_the_place() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "garbage").unwrap();
        let name = identify(directory.path()).unwrap();
        assert!(name.as_str().starts_with("unwritable-"), "{name}");
        assert_eq!(identify(directory.path()).unwrap(), name);
    }
}

//! Files of conf/: whole or not there, and secrets for their owner alone from their first byte on.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::cli::console::Failure;
use crate::config::Home;
use crate::say;

pub const SECRET: u32 = 0o600;
pub const PUBLIC: u32 = 0o644;

/// Replaces a file.
pub fn file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| std::fs::rename(&temporary, path));
    if placed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    placed
}

/// The key first: a process that reads in between keeps what it has, since the two do not fit.
pub fn certificate(home: &Home, node: &str, certificate: &str, key: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::other(say!("write the certificate of {}: {}", node, error.to_string()));
    file(&home.certificate_key_file(node), key.as_bytes(), SECRET).map_err(failed)?;
    file(&home.certificate_file(node), certificate.as_bytes(), PUBLIC).map_err(failed)
}

//! Files of conf/: whole or not there, and secrets for their owner alone from their first byte on.

use std::io;

use crate::cli::console::Failure;
pub use crate::config::replace_file as file;

use crate::config::Home;
use crate::say;

pub const SECRET: u32 = 0o600;
pub const PUBLIC: u32 = 0o644;

/// The key first: a process that reads in between keeps what it has, since the two do not fit.
pub fn certificate(home: &Home, node: &str, certificate: &str, key: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::other(say!("write the certificate of {}: {}", node, error.to_string()));
    file(&home.certificate_key_file(node), key.as_bytes(), SECRET).map_err(failed)?;
    file(&home.certificate_file(node), certificate.as_bytes(), PUBLIC).map_err(failed)
}

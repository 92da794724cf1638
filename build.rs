//! The crate of ODBC asks the linker for `-lodbc`. The program has the functions of that library itself and finds the
//! library of the host when the first link needs it (`src/connector/database/odbc/load.rs`), so an empty archive is
//! given to the linker: neither building nor starting takes unixODBC.

use std::path::Path;
use std::{env, fs, io};

/// What `ar rc libodbc.a` writes.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";
/// Where `load.rs` knows how to jump. Others are linked with the library as usual.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if env::var_os("CARGO_FEATURE_ODBC").is_none() || !ARCHITECTURES.contains(&arch.as_str()) {
        return Ok(());
    }
    let dir = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&dir).join("libodbc.a"), EMPTY_ARCHIVE)?;
    println!("cargo::rustc-link-search=native={dir}");
    Ok(())
}

//! Holds the processes of attempts for a worker. Started by the worker with `--zygote` and a socket as stdin;
//! forks one shim for each request. Small on purpose: it compiles its few modules itself and links no runtime.

#[path = "../connector/process/frame.rs"]
#[allow(dead_code, reason = "reading frames is the worker's half")]
mod frame;
#[path = "../connector/process/shim/mod.rs"]
mod shim;
#[path = "../connector/process/sweep.rs"]
mod sweep;
#[path = "../connector/process/wire.rs"]
#[allow(dead_code, reason = "each side uses its half of the words")]
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("--zygote") => match shim::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Some("--version") => {
            println!("ractorflow-shim {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("ractorflow-shim is started by a Ractorflow worker, with --zygote");
            ExitCode::from(2)
        }
    }
}

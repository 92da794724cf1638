//! Holds the processes of attempts for a worker. Started by the worker with `--zygote` and a socket as stdin;
//! forks one shim for each request. With `--wait` it is a supervisor that waits for its daemon.
//! Small on purpose: it compiles its few modules itself and links no runtime.

#[path = "../connector/process/frame.rs"]
#[allow(dead_code, reason = "reading frames is the worker's half")]
mod frame;
#[path = "../cli/server/supervise/lookout.rs"]
#[allow(dead_code, reason = "starting daemons is the supervisor's half")]
mod lookout;
#[path = "../connector/process/shim/mod.rs"]
mod shim;
#[path = "../cli/server/supervise/stand_in.rs"]
mod stand_in;
#[path = "../connector/process/sweep.rs"]
mod sweep;
#[path = "../connector/process/wire.rs"]
#[allow(dead_code, reason = "each side uses its half of the words")]
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|mode| mode.to_str()) {
        Some(lookout::WAIT) => stand_in::serve(arguments),
        Some("--zygote") => match shim::serve(arguments.next().as_deref().map(std::path::Path::new)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Some("--version") => {
            println!("ractorflow-shim {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "ractorflow-shim is started by Ractorflow: by a worker with --zygote, by a supervisor with --wait"
            );
            ExitCode::from(2)
        }
    }
}

//! The `ractorflow` binary: wiring, no rules.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ractorflow::cli::main(std::env::args_os()).code())
}

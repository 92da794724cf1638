//! `link-probe`: opens one link and says how far it came. A worker starts it; what to open comes by standard input.

use std::io::{Read, Write};
use std::path::PathBuf;

use clap::ArgMatches;

use crate::actor::protocol::link::LinkTestOrder;
use crate::actor::protocol::{decode, encode};
use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::connector::probe;

const ORDER_BYTES_MAX: u64 = 4 << 20;

pub const VERB: Verb = Verb {
    path: "link-probe",
    about: "Opens one link; started by a worker",
    examples: &["ractorflow link-probe --conf conf"],
    exits: &[],
    is_hidden: true,
    arguments: augment::<Arguments>,
    run,
};

#[derive(clap::Args)]
struct Arguments {
    /// Directory of the links
    #[arg(long, value_name = "DIR")]
    conf: PathBuf,
}

fn run(matches: &ArgMatches, _: &Console) -> Outcome {
    let arguments = <Arguments as clap::FromArgMatches>::from_arg_matches(matches)?;
    let mut body = Vec::new();
    std::io::stdin().lock().take(ORDER_BYTES_MAX).read_to_end(&mut body)?;
    let order: LinkTestOrder = decode(&body).map_err(|error| Failure::theirs(&error))?;
    let home = arguments.conf.parent().unwrap_or(&arguments.conf).to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tried = runtime.block_on(probe::links(&arguments.conf, &home, &order.kept, order.kind, &order.name));
    // A driver's thread may hang for good; the process does not wait for it.
    runtime.shutdown_background();
    let answer = encode(&tried).map_err(|error| Failure::theirs(&error))?;
    std::io::stdout().lock().write_all(&answer)?;
    Ok(ExitCode::Ok)
}

//! Verbs that talk to the cluster over HTTP. Each is one file; what they share is the client.
//!
//! Must not know anything that the API does not say. Start reading at `client`; `follow` is what `-f` does.

pub mod act;
pub mod address;
pub mod client;
pub mod cluster;
pub mod each;
pub mod follow;
pub mod instance;
pub mod link;
pub mod logs;
pub mod openapi;
pub mod run;
pub mod schedule;
pub mod select;
pub mod show;
pub mod sse;
pub mod status;
pub mod stay;
pub mod why;
pub mod worker;
pub mod workflow;

use std::future::Future;

use clap::{ArgMatches, FromArgMatches};

use crate::cli::console::{Console, Failure, Outcome};

use client::Client;

/// What a verb works with.
pub struct Remote<'a> {
    pub client: Client,
    pub console: &'a Console,
}

/// Runs a verb to its end on this thread: a client needs no more, and starting threads would be most of its time.
pub fn run<'a, A: FromArgMatches, F: Future<Output = Outcome>>(
    matches: &ArgMatches,
    console: &'a Console,
    verb: impl FnOnce(A, Remote<'a>) -> F,
) -> Outcome {
    let arguments = A::from_arg_matches(matches)?;
    block_on(async {
        let client = Client::new(address::resolve(&console.global)?, console)?;
        verb(arguments, Remote { client, console }).await
    })
}

/// A single-threaded runtime for one future.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

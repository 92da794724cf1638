//! `schema xsd`: for editors that complete and check XML.

use clap::ArgMatches;

use crate::api::ExitCode;
use crate::cli::console::{Console, NoArgs, Outcome, Verb, augment};
use crate::{node, xml};

pub const VERB: Verb = Verb {
    path: "schema xsd",
    about: "XML schema of definitions, for editors",
    examples: &["ractorflow schema xsd > ractorflow-workflow.xsd"],
    exits: &[],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run,
};

fn run(_: &ArgMatches, console: &Console) -> Outcome {
    console.raw(xml::xsd(node::spec::all()).as_bytes())?;
    Ok(ExitCode::Ok)
}

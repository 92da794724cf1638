//! `cluster init`: this host begins a cluster of several hosts.

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cli::server::local::prepare;
use crate::cli::server::secret;
use crate::config::{Config, Home, MasterAddress};
use crate::say;

use super::masters_elsewhere;

pub const VERB: Verb = Verb {
    path: "cluster init",
    about: "Begin a cluster of several hosts here: its masters, secrets and certificate authority",
    examples: &[
        "ractorflow cluster init --masters m1@10.0.0.1:2751,m2@10.0.0.2:2751,m3@10.0.0.3:2751 --http h1",
        "ractorflow cluster init",
    ],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The masters of the new cluster, as id@address:port [default: those of the settings]
    #[arg(long, value_name = "ID@ADDRESS:PORT", value_delimiter = ',')]
    masters: Vec<MasterAddress>,
    /// Workers of this host [default: none when --masters or --http is given, else those of the settings]
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    workers: Vec<String>,
    /// HTTP servers of this host [default: none when --masters or --workers is given, else those of the settings]
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    http: Vec<String>,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    if home.authority_file().exists() {
        return Err(Failure::new(
            ExitCode::Conflict,
            say!("this home belongs to a cluster already (conf/cluster.ca.pem)"),
        ));
    }
    let mut settings = if home.config_file().exists() { Config::load(&home)? } else { Config::default() };
    let is_told = !(arguments.masters.is_empty() && arguments.workers.is_empty() && arguments.http.is_empty());
    if is_told {
        settings.start.workers = arguments.workers;
        settings.start.http = arguments.http;
    }
    if !arguments.masters.is_empty() {
        settings.cluster.masters = arguments.masters;
        let is_there = |name: &String| settings.cluster.masters.iter().any(|master| master.name() == *name);
        settings.cluster.low_priority.retain(is_there);
    }
    std::fs::create_dir_all(home.conf_dir())?;
    // Before the settings: a second try finds out that there is nothing left to do.
    secret::make_all(&home)?;
    prepare::write_cluster(&home, &settings)?;
    Config::load(&home)?;
    console
        .data(&console.say(&say!("made the cluster's secrets and its certificate authority in {}", home.conf_dir())))?;
    let elsewhere = masters_elsewhere(&settings);
    if !elsewhere.is_empty() {
        console.talk(&say!("on other hosts: {}", elsewhere.join(", ")));
    }
    console.talk(&say!("next: sbin/start-cluster, then ractorflow cluster join-token for each of the other hosts"));
    Ok(ExitCode::Ok)
}

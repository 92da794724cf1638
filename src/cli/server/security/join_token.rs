//! `cluster join-token`: lets one other host join.

use std::net::SocketAddr;

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cli::server::local::plan;
use crate::cluster::Role;
use crate::cluster::tls::fingerprint;
use crate::config::{Config, Home, is_loopback};
use crate::say;

use super::ledger::{self, Ledger, Pass};
use super::token::Token;
use super::{authority, role};

const HOURS_MAX: u32 = 24 * 7;

pub const VERB: Verb = Verb {
    path: "cluster join-token",
    about: "Print a token with which another host can join once",
    examples: &["ractorflow cluster join-token", "ractorflow cluster join-token --role master --role worker --hours 1"],
    exits: &[],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// What may join with it: master, worker, http [default: worker and http]
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    roles: Vec<Role>,
    /// How long it can be used
    #[arg(long, value_name = "N", default_value_t = 24)]
    hours: u32,
    /// Address of the master that answers it [default: the one of this host]
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    if arguments.hours == 0 || arguments.hours > HOURS_MAX {
        return Err(Failure::usage(say!("--hours must be 1 to {}, not {}", HOURS_MAX, arguments.hours)));
    }
    authority(&home)?;
    let config = Config::load(&home)?;
    let address = match arguments.address {
        Some(address) => address,
        None => own_master(&config)?,
    };
    let certificate = std::fs::read_to_string(home.authority_file())?;
    let token = Token {
        secret: Token::random_secret().map_err(|error| Failure::theirs(&error))?,
        authority: fingerprint(&certificate).map_err(|error| Failure::theirs(&error))?,
        address,
    };
    let roles = if arguments.roles.is_empty() { vec![Role::Worker, Role::Http] } else { arguments.roles };
    let until = chrono::Utc::now() + chrono::Duration::hours(arguments.hours.into());
    let pass = Pass { hash: ledger::hash(&token.secret), roles: roles.clone(), until: until.timestamp() };
    Ledger::open(&home)?.let_out(pass)?;
    console.data(&token.to_string())?;
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    console.talk(&say!(
        "good for one join of {} until {}. On the other host: ractorflow cluster join TOKEN --node NAME --role ROLE",
        roles.join(", "),
        until.format("%Y-%m-%d %H:%M UTC").to_string()
    ));
    Ok(ExitCode::Ok)
}

/// The master of this host, as others reach it.
fn own_master(config: &Config) -> Result<SocketAddr, Failure> {
    let is_reachable = |host: &str| config.cluster.tls == "always" || !is_loopback(host);
    let own = config.cluster.masters.iter().find(|master| is_reachable(&master.host) && plan::is_here(&master.host));
    let own = own.ok_or_else(|| {
        Failure::other(say!("no master of this host listens on an address that other hosts reach"))
            .hint(say!("set [cluster] masters to addresses of the hosts, or name one with --address"))
    })?;
    own.address().parse().map_err(|error: std::net::AddrParseError| {
        Failure::other(say!("cluster.masters: {}: {}", own.to_string(), error.to_string()))
    })
}

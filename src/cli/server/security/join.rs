//! `cluster join`: this host becomes part of a cluster that was made elsewhere.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cli::server::local::prepare;
use crate::cli::server::secret;
use crate::cluster::Role;
use crate::cluster::tls::{JoinAnswer, JoinRequest, JoiningNode, NodeKey, fingerprint, join};
use crate::config::{BadMasterAddress, Config, Home};
use crate::say;

use super::token::Token;
use super::{place, role};

const PATIENCE: Duration = Duration::from_secs(10);

pub const VERB: Verb = Verb {
    path: "cluster join",
    about: "Join this host to a cluster, with a token of cluster join-token",
    examples: &[
        "ractorflow cluster join rfj_… --node w2 --role worker",
        "ractorflow cluster join rfj_… --node m2 --role master --node w1 --role worker",
    ],
    exits: &[ExitCode::Denied, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// What cluster join-token printed
    #[arg(id = "join-token", value_name = "TOKEN")]
    token: Token,
    /// A node that will run here; may be repeated
    #[arg(long = "node", value_name = "NAME", required = true)]
    nodes: Vec<String>,
    /// What that node is: master, worker or http; one for each --node
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    if arguments.nodes.len() != arguments.roles.len() {
        return Err(Failure::usage(say!("each --node needs a --role")));
    }
    let Token { secret, authority, address } = arguments.token;
    let is_member = check_home(&home, &authority)?;
    let failed = |error: &dyn std::fmt::Display| Failure::theirs(error);
    let mut keys = Vec::new();
    let mut nodes = Vec::new();
    for (name, role) in arguments.nodes.into_iter().zip(arguments.roles) {
        let key = NodeKey::generate().map_err(|error| failed(&error))?;
        nodes.push(JoiningNode { name, role, public_key: key.public() });
        keys.push(key);
    }
    let request = JoinRequest { secret, nodes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(join(address, &authority, &request, PATIENCE));
    let answer = asked.map_err(|error| Failure::new(ExitCode::Denied, error.said()))?;
    if fingerprint(&answer.authority).ok().as_ref() != Some(&authority) || answer.certificates.len() != keys.len() {
        return Err(Failure::other(say!("the answer of {} does not fit the token", address)));
    }
    std::fs::create_dir_all(home.conf_dir())?;
    write(&home, &request.nodes, &keys, &answer)?;
    settings(&home, &request.nodes, &answer, is_member)?;
    let names: Vec<&str> = request.nodes.iter().map(|node| node.name.as_str()).collect();
    console.data(&console.say(&say!("{} joined the cluster of {}", names.join(" "), answer.masters.join(" "))))?;
    console.talk(&say!("next: sbin/start-cluster"));
    Ok(ExitCode::Ok)
}

/// Whether this home is of that cluster already; a home of another one must not lose its secrets.
fn check_home(home: &Home, authority: &str) -> Result<bool, Failure> {
    let other = || {
        Failure::new(ExitCode::Conflict, say!("{} belongs to another cluster", home.root()))
            .hint(say!("join with a home of its own: --home DIR"))
    };
    if home.authority_file().exists() {
        let own = std::fs::read_to_string(home.authority_file())?;
        let is_same = fingerprint(&own).is_ok_and(|own| own == authority);
        return if is_same { Ok(true) } else { Err(other()) };
    }
    if home.cookie_file().exists() { Err(other()) } else { Ok(false) }
}

/// The authority last: a home that has it is complete.
fn write(home: &Home, nodes: &[JoiningNode], keys: &[NodeKey], answer: &JoinAnswer) -> Result<(), Failure> {
    for ((node, key), certificate) in nodes.iter().zip(keys).zip(&answer.certificates) {
        place::certificate(home, &node.name, certificate, &key.secret())?;
    }
    place::file(&home.cookie_file(), format!("{}\n", answer.cookie).as_bytes(), place::SECRET)?;
    secret::check(&home.cookie_file())?;
    if !answer.revoked.is_empty() {
        place::file(&home.revoked_file(), answer.revoked.as_bytes(), place::PUBLIC)?;
    }
    Ok(place::file(&home.authority_file(), answer.authority.as_bytes(), place::PUBLIC)?)
}

/// The masters are those of the cluster; what starts here is what joined here.
fn settings(home: &Home, nodes: &[JoiningNode], answer: &JoinAnswer, is_member: bool) -> Result<(), Failure> {
    let mut config = if home.config_file().exists() { Config::load(home)? } else { Config::default() };
    let parsed = answer.masters.iter().map(|master| master.parse()).collect::<Result<_, _>>();
    config.cluster.masters =
        parsed.map_err(|error: BadMasterAddress| Failure::other(say!("the cluster's masters: {}", error.said())))?;
    config.cluster.low_priority = answer.low_priority.clone();
    let named = |role| nodes.iter().filter(move |node| node.role == role).map(|node| node.name.clone());
    if !is_member {
        config.start.workers.clear();
        config.start.http.clear();
    }
    for (list, role) in [(&mut config.start.workers, Role::Worker), (&mut config.start.http, Role::Http)] {
        let new: Vec<String> = named(role).filter(|name| !list.contains(name)).collect();
        list.extend(new);
    }
    prepare::write_cluster(home, &config)?;
    Config::load(home)?;
    Ok(())
}

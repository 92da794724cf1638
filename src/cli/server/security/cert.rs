//! `cluster cert`: certificates by hand, where the authority's key is.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cluster::Role;
use crate::cluster::tls::NodeKey;
use crate::config::{Config, Home};
use crate::say;

use super::desk::check_name;
use super::ledger::{Given, Ledger};
use super::{authority, issue, place, role};

pub const VERB: Verb = Verb {
    path: "cluster cert",
    about: "Issue, rotate or revoke the certificate of a node, on the host where the cluster was made",
    examples: &[
        "ractorflow cluster cert issue w2 --role worker --out w2.bundle",
        "ractorflow cluster cert rotate m1",
        "ractorflow cluster cert rotate w2 --out w2.bundle",
        "ractorflow cluster cert revoke w2",
    ],
    exits: &[ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// For a host that cannot reach a master yet: a directory whose files go into its conf/
    Issue,
    /// A new key and certificate; in place for a node of this home, else a directory as with issue
    Rotate,
    /// The certificates of a node count no more
    Revoke,
}

#[derive(Debug, Args)]
struct Arguments {
    action: Action,
    /// Such as w2; of rotate, all nodes of this home if none is named
    node: Option<String>,
    /// Of issue: master, worker or http
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
    /// Of issue and rotate: the directory to make [default: <NODE>.bundle]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Of revoke: all but the newest, after a rotation
    #[arg(long)]
    former: bool,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    authority(&home)?;
    let ledger = Ledger::open(&home)?;
    let named = arguments.node.clone().ok_or_else(|| Failure::usage(say!("name the node, such as w2")));
    let out = arguments.out.as_deref();
    match arguments.action {
        Action::Issue => {
            let node = named?;
            let role =
                arguments.role.ok_or_else(|| Failure::usage(say!("issue needs --role master, worker or http")))?;
            check_name(&node, role, &Config::load(&home)?)?;
            if !ledger.valid(&node)?.is_empty() {
                return Err(Failure::new(ExitCode::Conflict, say!("{} has a certificate already", node))
                    .hint(say!("`ractorflow cluster cert rotate {}`, or revoke it first", node)));
            }
            bundle(&home, &ledger, &node, role, out, console)?;
        }
        Action::Rotate => {
            let nodes = match arguments.node {
                Some(node) => vec![node],
                None => own_nodes(&home),
            };
            if nodes.is_empty() {
                return Err(Failure::new(ExitCode::NotFound, say!("no node of this home has a certificate")));
            }
            for node in nodes {
                let Given { role, .. } = newest(&ledger, &node)?;
                if out.is_none() && home.certificate_file(&node).exists() {
                    let key = new_key()?;
                    let certificate = issue(&home, &ledger, &node, role, &key.public())?;
                    place::certificate(&home, &node, &certificate, &key.secret())?;
                    console
                        .data(&console.say(&say!("{} has a new certificate; connections from now on use it", node)))?;
                } else {
                    bundle(&home, &ledger, &node, role, out, console)?;
                }
                console.talk(&say!("the former ones still count: ractorflow cluster cert revoke {} --former", node));
            }
        }
        Action::Revoke => {
            let node = named?;
            newest(&ledger, &node)?;
            let mut certificates = ledger.valid(&node)?;
            if arguments.former {
                certificates.pop();
            }
            ledger.revoke(&certificates)?;
            console.data(&console.say(&say!("certificates of {} that count no more: {}", node, certificates.len())))?;
            console.talk(&say!("the masters of this host read it within 2 s and tell the others"));
        }
    }
    Ok(ExitCode::Ok)
}

fn newest(ledger: &Ledger, node: &str) -> Result<Given, Failure> {
    let none = || Failure::new(ExitCode::NotFound, say!("{} has no certificate that counts", node));
    ledger.valid(node)?.pop().ok_or_else(none)
}

fn own_nodes(home: &Home) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.conf_dir()) else { return Vec::new() };
    let names =
        entries.flatten().filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".pem")?.to_owned()));
    let mut nodes: Vec<String> = names.filter(|node| home.certificate_key_file(node).exists()).collect();
    nodes.retain(|node| home.certificate_file(node) != home.authority_file());
    nodes.sort();
    nodes
}

fn new_key() -> Result<NodeKey, Failure> {
    NodeKey::generate().map_err(|error| Failure::theirs(&error))
}

/// What goes into conf/ of another host.
fn bundle(
    home: &Home,
    ledger: &Ledger,
    node: &str,
    role: Role,
    out: Option<&Path>,
    console: &Console,
) -> Result<(), Failure> {
    let directory = out.map_or_else(|| PathBuf::from(format!("{node}.bundle")), Path::to_owned);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|error| Failure::other(say!("cannot make {}: {}", directory, error.to_string())))?;
    let key = new_key()?;
    let certificate = issue(home, ledger, node, role, &key.public())?;
    place::file(&directory.join(format!("{node}.key")), key.secret().as_bytes(), place::SECRET)?;
    place::file(&directory.join(format!("{node}.pem")), certificate.as_bytes(), place::PUBLIC)?;
    for (path, mode) in [
        (home.cookie_file(), place::SECRET),
        (home.revoked_file(), place::PUBLIC),
        (home.authority_file(), place::PUBLIC),
    ] {
        if let (Some(name), true) = (path.file_name(), path.exists()) {
            place::file(&directory.join(name), &std::fs::read(&path)?, mode)?;
        }
    }
    console.data(&console.say(&say!(
        "{}: copy its files into conf/ of the host of {}, then delete it",
        directory,
        node
    )))
}

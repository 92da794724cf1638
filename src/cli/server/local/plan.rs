//! Which processes a home has: those of its settings, and those that were started by name.

use std::collections::BTreeMap;

use crate::cli::console::Failure;
use crate::cli::server::process::Process;
use crate::config::{Config, Home, MasterAddress, Role, is_loopback};
use crate::model::id::MasterId;
use crate::say;

/// One process to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub node: String,
    pub role: Role,
    /// What it listens on.
    pub addresses: Vec<(String, u16)>,
    /// The nodes that say when they are ready: itself, or all roles of a standalone process.
    pub nodes: Vec<String>,
    /// Arguments of its own, after `server <role> --id <node>`.
    pub arguments: Vec<String>,
}

/// The processes that `start-cluster` starts: masters, workers, HTTP servers.
pub fn of_cluster(config: &Config) -> Vec<Planned> {
    let masters = config.cluster.masters.iter().filter(|master| is_here(&master.host)).map(|master| Planned {
        node: master.name(),
        role: Role::Master,
        addresses: vec![(master.host.clone(), master.port)],
        nodes: vec![master.name()],
        arguments: Vec::new(),
    });
    let workers = config.start.workers.iter().map(|node| Planned {
        node: node.clone(),
        role: Role::Worker,
        addresses: Vec::new(),
        nodes: vec![node.clone()],
        arguments: Vec::new(),
    });
    let http = config.start.http.iter().zip(0..).map(|(node, n)| http_server(config, node, n));
    masters.chain(workers).chain(http).collect()
}

/// Several on one host take the ports after the first.
fn http_server(config: &Config, node: &str, n: u16) -> Planned {
    let port = config.http.port.saturating_add(n);
    let arguments = if n == 0 { Vec::new() } else { vec!["--port".to_owned(), port.to_string()] };
    Planned {
        node: node.to_owned(),
        role: Role::Http,
        addresses: vec![(config.http.bind.clone(), port)],
        nodes: vec![node.to_owned()],
        arguments,
    }
}

/// All roles in one process; each role keeps its name and its directory, so that a home can change between both forms.
pub fn standalone(config: &Config) -> Planned {
    // One process is one vote: it needs no other master.
    let mut config = config.clone();
    config.cluster.masters.truncate(1);
    let parts = of_cluster(&config);
    let first_of = |role| parts.iter().find(|part| part.role == role).map(|part| part.node.clone());
    Planned {
        node: STANDALONE.to_owned(),
        role: Role::Standalone,
        addresses: parts.iter().flat_map(|part| part.addresses.clone()).collect(),
        nodes: [Role::Master, Role::Worker, Role::Http].into_iter().filter_map(first_of).collect(),
        arguments: Vec::new(),
    }
}

/// Name of the process that has all roles.
pub const STANDALONE: &str = "standalone";

/// Ports for a cluster of its own beside others on this host: masters from the base on, the web server five above.
pub fn with_port_base(config: &mut Config, base: u16) -> Result<(), Failure> {
    const SPAN: u16 = 10;
    if base < 1024 || base > u16::MAX - SPAN {
        return Err(Failure::usage(say!("--port-base must be 1024 to {}, not {}", u16::MAX - SPAN, base)));
    }
    for (n, master) in config.cluster.masters.iter_mut().enumerate() {
        *master = MasterAddress { port: base + n as u16, ..master.clone() };
    }
    config.http.port = base + 5;
    Ok(())
}

/// So many masters on this host, on ports in a row. With three or more the last one leads only while no other can.
pub fn with_masters(config: &mut Config, masters: u64) -> Result<(), Failure> {
    if !matches!(masters, 1 | 3 | 5) {
        return Err(Failure::usage(say!("--masters must be 1, 3 or 5, not {}", masters))
            .hint(say!("an even number of votes survives no more than one less")));
    }
    let first = config.cluster.masters.first().cloned().unwrap_or_else(|| MasterAddress::local(1, 2751));
    let address = |n: u64| MasterAddress { id: MasterId(n), port: first.port + (n - 1) as u16, ..first.clone() };
    config.cluster.masters = (1..=masters).map(address).collect();
    config.cluster.low_priority = if masters > 1 { vec![format!("m{masters}")] } else { Vec::new() };
    Ok(())
}

/// As the environment takes them.
pub fn masters_text(config: &Config) -> String {
    config.cluster.masters.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Names of all processes that left a trace in run/, with those that live.
pub fn known(home: &Home) -> BTreeMap<String, Option<Process>> {
    let Ok(entries) = std::fs::read_dir(home.run_dir()) else { return BTreeMap::new() };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let node = name.strip_suffix(".supervise.pid").or_else(|| name.strip_suffix(".pid"))?;
        Some(node.to_owned())
    });
    names.map(|node| (node.clone(), Process::from_file(&home.pid_file(&node)))).collect()
}

/// Its supervisor, if it lives.
pub fn supervisor(home: &Home, node: &str) -> Option<Process> {
    Process::from_file(&home.run_dir().join(format!("{node}.supervise.pid")))
}

/// Does this host answer to that name? Anything but loopback and our own names is another machine.
pub fn is_here(host: &str) -> bool {
    if host == "localhost" || is_loopback(host) {
        return true;
    }
    // An address can be bound only by the machine that has it.
    std::net::TcpListener::bind((host, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_base_moves_everything_and_nothing_meets() {
        let mut config = Config::default();
        with_port_base(&mut config, 30_000).unwrap();
        let ports = |config: &Config| -> Vec<u16> {
            of_cluster(config).into_iter().flat_map(|planned| planned.addresses).map(|(_, port)| port).collect()
        };
        assert_eq!(ports(&config), [30_000, 30_001, 30_002, 30_005]);
        with_masters(&mut config, 5).unwrap();
        assert_eq!(ports(&config), [30_000, 30_001, 30_002, 30_003, 30_004, 30_005]);
        assert_eq!(config.cluster.low_priority, ["m5"]);
        assert!(with_masters(&mut config, 2).is_err());
        with_masters(&mut config, 1).unwrap();
        assert_eq!(ports(&config), [30_000, 30_005]);
        assert!(with_port_base(&mut config, 80).is_err());
        assert!(with_port_base(&mut config, 65_530).is_err());
    }

    #[test]
    fn several_web_servers_get_ports_of_their_own() {
        let mut config = Config::default();
        config.start.http = vec!["h1".to_owned(), "h2".to_owned()];
        let plan = of_cluster(&config);
        assert_eq!(plan[5].arguments, ["--port", "8091"]);
        assert!(plan[4].arguments.is_empty());
    }
}

//! Where the cluster is and how to sign in: flag, else environment, else context, else the home.

use std::path::PathBuf;

use serde::Deserialize;

use crate::cli::console::{Failure, Global};
use crate::config::{self, Config, Home, Role};
use crate::say;

/// HTTP servers to try in order, and the token for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub addresses: Vec<String>,
    pub token: Option<String>,
}

/// `~/.config/ractorflow/config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Contexts {
    current: Option<String>,
    contexts: std::collections::BTreeMap<String, Context>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Context {
    addr: Vec<String>,
    token: Option<String>,
}

pub fn resolve(global: &Global) -> Result<Target, Failure> {
    let context = chosen_context(global)?;
    if !global.addr.is_empty() || context.as_ref().is_some_and(|context| !context.addr.is_empty()) {
        let from_context = context.unwrap_or_default();
        let addresses = if global.addr.is_empty() { from_context.addr } else { global.addr.clone() };
        let addresses: Vec<String> = addresses.iter().map(|address| with_scheme(address)).collect();
        let token = global.token.clone().or(from_context.token);
        // The home's token opens this home's cluster; it is not shown to other machines.
        let token = token.or_else(|| addresses.iter().all(|a| is_loopback(a)).then(|| home_token(global)).flatten());
        return Ok(Target { addresses, token });
    }
    let home = Home::find(global.home.as_deref())?;
    let mut addresses = started_servers(&home);
    if addresses.is_empty() {
        let http = Config::load(&home)?.http;
        addresses.push(format!("http://{}:{}", http.bind, http.port));
    }
    Ok(Target { addresses, token: global.token.clone().or_else(|| home_token(global)) })
}

fn chosen_context(global: &Global) -> Result<Option<Context>, Failure> {
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let Some(path) = base.map(|base| base.join("ractorflow/config.toml")) else { return Ok(None) };
    let mut contexts = match std::fs::read_to_string(&path) {
        Ok(text) => {
            toml::from_str::<Contexts>(&text).map_err(|error| Failure::usage(say!("{}: {}", path, error.message())))?
        }
        Err(_) => Contexts::default(),
    };
    // A home that is named beats a context that is merely current.
    let is_home_named = global.home.is_some() || std::env::var_os("RACTORFLOW_HOME").is_some();
    let current = contexts.current.take().filter(|_| !is_home_named);
    let Some(name) = global.context.clone().or(current) else { return Ok(None) };
    match contexts.contexts.remove(&name) {
        Some(context) => Ok(Some(context)),
        None => Err(Failure::usage(say!("{} has no context \"{}\"", path, name))),
    }
}

/// What the HTTP servers of this home wrote when they became ready.
fn started_servers(home: &Home) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.run_dir()) else { return Vec::new() };
    let mut servers: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".ready").map(str::to_owned))
        .filter_map(|node| home.read_ready(&node))
        .filter(|ready| ready.role == Role::Http)
        .filter_map(|ready| Some(with_scheme(&ready.address?)))
        .collect();
    servers.sort();
    servers
}

fn home_token(global: &Global) -> Option<String> {
    let home = Home::find(global.home.as_deref()).ok()?;
    let token = std::fs::read_to_string(home.admin_token_file()).ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn with_scheme(address: &str) -> String {
    let address = address.trim().trim_end_matches('/');
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

fn is_loopback(address: &str) -> bool {
    let host = reqwest::Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || config::is_loopback(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for address in ["http://127.0.0.1:8090", "http://localhost:1", "http://[::1]:8090"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["http://10.0.0.1:8090", "http://localhost.example.com", "nonsense"] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}

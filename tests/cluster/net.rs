//! Hosts without machines: a network namespace for each, joined by a bridge in one more.
//!
//! Addresses of link layer and network are fixed and known to everybody from the start, so that nobody asks for them.
//! A cut is an entry that leads nowhere: what `from` sends to `to` goes to a link address that no host has. It works per
//! direction, at once, for connections that stand too, and needs nothing but `ip`. Loss and delay are `link`'s.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Of a host in the order they were made: the last byte of its addresses.
pub type Place = u8;

pub struct Net {
    hosts: Vec<String>,
}

impl Net {
    /// `Err` says why there can be none here.
    pub fn new(hosts: &[&str]) -> Result<Self, String> {
        // Made before anything else: whatever fails, `drop` takes away what is there.
        let net = Self { hosts: hosts.iter().map(|host| (*host).to_owned()).collect() };
        let switch = net.namespace("switch");
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for host in hosts {
            let (own, port, place) = (net.namespace(host), port(host), net.place(host));
            ip(&["netns", "add", &own])?;
            let (peer, mac) = (["peer", "name", &port, "netns", &switch], link_address(place));
            ip(&[&["-n", &own, "link", "add", "eth0", "address", &mac, "type", "veth"], &peer[..]].concat())?;
            ip(&["-n", &own, "addr", "add", &format!("{}/24", address(place)), "dev", "eth0"])?;
            ip(&["-n", &own, "link", "set", "lo", "up"])?;
            ip(&["-n", &own, "link", "set", "eth0", "up"])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
        }
        for from in hosts {
            hosts.iter().filter(|to| *to != from).try_for_each(|to| net.mend(from, to))?;
        }
        Ok(net)
    }

    pub fn namespace(&self, host: &str) -> String {
        format!("rfc{}{host}", std::process::id())
    }

    pub fn place(&self, host: &str) -> Place {
        let at = self.hosts.iter().position(|known| known == host);
        at.map_or(0, |at| at as u8 + 1)
    }

    pub fn address(&self, host: &str) -> String {
        address(self.place(host))
    }

    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// Nothing from `from` reaches `to`; the other way is another cut.
    pub fn cut(&self, from: &str, to: &str) -> Result<(), String> {
        self.neighbour(from, to, &link_address(NOBODY))
    }

    pub fn mend(&self, from: &str, to: &str) -> Result<(), String> {
        self.neighbour(from, to, &link_address(self.place(to)))
    }

    pub fn mend_all(&self) -> Result<(), String> {
        self.hosts().try_for_each(|from| self.hosts().filter(|to| *to != from).try_for_each(|to| self.mend(from, to)))
    }

    fn neighbour(&self, from: &str, to: &str, mac: &str) -> Result<(), String> {
        let (namespace, address) = (self.namespace(from), self.address(to));
        ip(&["-n", &namespace, "neigh", "replace", &address, "lladdr", mac, "dev", "eth0", "nud", "permanent"])
    }

    /// From here on this thread is on that host: its sockets are of its network.
    pub fn enter(&self, host: &str) -> Result<(), String> {
        let path = format!("/run/netns/{}", self.namespace(host));
        let file = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
        // SAFETY: the descriptor is open, and nothing but this thread's network changes.
        match unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(format!("setns {path}: {}", std::io::Error::last_os_error())),
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in self.hosts.iter().map(String::as_str).chain(["switch"]) {
            // Not there when making it failed.
            let _ = ip(&["netns", "del", &self.namespace(host)]);
        }
    }
}

const NOBODY: Place = 0xee;

fn address(place: Place) -> String {
    format!("10.0.0.{place}")
}

fn link_address(place: Place) -> String {
    format!("02:00:00:00:00:{place:02x}")
}

/// The end of a host's cable, in the switch.
pub fn port(host: &str) -> String {
    format!("port{host}")
}

pub fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {said}", arguments.join(" "))) }
}

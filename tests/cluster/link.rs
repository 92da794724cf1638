//! A bad cable: loss and delay on all that a host sends and gets. The kernel's own means (netem) is often not there, so
//! frames are carried by hand between the host's end of the cable, taken off the bridge, and a new end on it.
//!
//! With the header of virtio on each frame, offloaded checksums and segments pass as they are.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::course::Random;
use crate::history::{MS, Nanos, now};
use crate::net::{Net, ip, port};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    pub loss_percent: u64,
    pub delay_ms: u64,
    pub jitter_ms: u64,
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} % loss, {}+{} ms delay", self.loss_percent, self.delay_ms, self.jitter_ms)
    }
}

/// The cable is good again when this is dropped.
pub struct BadLink {
    switch: String,
    host: String,
    is_over: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl BadLink {
    pub fn new(net: &Arc<Net>, host: &str, quality: Quality, seed: u64) -> Result<Self, String> {
        let (switch, port) = (net.namespace("switch"), port(host));
        let (inner, outer) = (format!("in{host}"), format!("out{host}"));
        ip(&["-n", &switch, "link", "add", &inner, "type", "veth", "peer", "name", &outer])?;
        let mut link = Self { switch, host: host.to_owned(), is_over: Arc::default(), carriers: Vec::new() };
        let switch = &link.switch;
        ip(&["-n", switch, "link", "set", &inner, "up"])?;
        ip(&["-n", switch, "link", "set", &outer, "master", "bridge", "up"])?;
        ip(&["-n", switch, "link", "set", &port, "nomaster", "promisc", "on"])?;
        ip(&["-n", switch, "link", "set", &inner, "promisc", "on"])?;
        for (from, to, seed) in [(port.clone(), inner.clone(), seed), (inner, port, !seed)] {
            let (net, is_over) = (Arc::clone(net), Arc::clone(&link.is_over));
            link.carriers.push(std::thread::spawn(move || {
                let opened = net.enter("switch").and_then(|()| Ok((open(&from)?, open(&to)?)));
                match opened {
                    Ok((from, to)) => carry(&from, &to, quality, Random(seed), &is_over),
                    Err(why) => eprintln!("a bad link cannot be made: {why}"),
                }
            }));
        }
        Ok(link)
    }
}

impl Drop for BadLink {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            if carrier.join().is_err() {
                eprintln!("a carrier of a bad link panicked");
            }
        }
        // Both ends go together.
        let _ = ip(&["-n", &self.switch, "link", "del", &format!("in{}", self.host)]);
        let _ = ip(&["-n", &self.switch, "link", "set", &port(&self.host), "master", "bridge"]);
    }
}

/// As much waits as a long cable would hold; what is more is lost.
const QUEUE_MAX: usize = 4096;
const FRAME_MAX: usize = 70_000;

fn carry(from: &OwnedFd, to: &OwnedFd, quality: Quality, mut random: Random, is_over: &AtomicBool) {
    let mut queue: VecDeque<(Nanos, Vec<u8>)> = VecDeque::new();
    let mut frame = vec![0; FRAME_MAX];
    while !is_over.load(Ordering::Relaxed) {
        while queue.front().is_some_and(|(due, _)| *due <= now()) {
            let Some((_, frame)) = queue.pop_front() else { break };
            // SAFETY: the buffer outlives the call. What cannot be sent is lost, as on a cable.
            unsafe { libc::send(to.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        }
        let wait = queue.front().map_or(20, |(due, _)| (due.saturating_sub(now()) / MS).clamp(1, 20));
        let mut polled = libc::pollfd { fd: from.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor that is open.
        if unsafe { libc::poll(&mut polled, 1, wait as i32) } <= 0 {
            continue;
        }
        // SAFETY: the buffer is as long as is said.
        let length =
            unsafe { libc::recv(from.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), libc::MSG_DONTWAIT) };
        let Ok(length @ 1..) = usize::try_from(length) else { continue };
        if random.below(100) < quality.loss_percent || queue.len() >= QUEUE_MAX {
            continue;
        }
        // In order: a cable does not let frames pass each other.
        let due = now() + (quality.delay_ms + random.below(quality.jitter_ms + 1)) * MS;
        let due = queue.back().map_or(due, |(last, _)| due.max(*last));
        queue.push_back((due, frame[..length].to_vec()));
    }
}

/// A socket for whole frames of an interface, with the header that says what the sender left to the hardware.
fn open(interface: &str) -> Result<OwnedFd, String> {
    let wrong = |what: &str| format!("{what} {interface}: {}", std::io::Error::last_os_error());
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let name = std::ffi::CString::new(interface).map_err(|error| error.to_string())?;
    // SAFETY: plain system calls; sizes are those of what is pointed to.
    unsafe {
        let raw = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if raw < 0 {
            return Err(wrong("socket"));
        }
        let socket = OwnedFd::from_raw_fd(raw);
        let index = libc::if_nametoindex(name.as_ptr());
        if index == 0 {
            return Err(wrong("no interface"));
        }
        // Ours alone: not what this side sends.
        for option in [libc::PACKET_VNET_HDR, libc::PACKET_IGNORE_OUTGOING] {
            let on: libc::c_int = 1;
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            if libc::setsockopt(raw, libc::SOL_PACKET, option, (&raw const on).cast(), size) != 0 {
                return Err(wrong("setsockopt"));
            }
        }
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        if libc::bind(raw, (&raw const address).cast(), size) != 0 {
            return Err(wrong("bind"));
        }
        Ok(socket)
    }
}

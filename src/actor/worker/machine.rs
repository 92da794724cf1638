//! What this machine says of itself.

use std::path::Path;

/// Differs after every start of the kernel.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Empty where the machine has none.
pub fn machine_id() -> String {
    std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

pub fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// What each host calls itself.
pub const LOOPBACK: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

/// Addresses of this host but for loopback, as `host="…"` of an action may name them.
pub fn addresses() -> Vec<String> {
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found = local_v4(&v4);
    found.extend(local_v6(&v6));
    found.sort();
    found.dedup();
    found
}

/// Most nodes of a workflow wait for a database or another host: many more can run than there are processors.
pub fn default_slots() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    (4 * processors).max(16)
}

pub fn load_hundredths() -> u32 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse::<f64>().ok()).map_or(0, |load| (load * 100.0) as u32)
}

/// Free bytes and the percentage in use of the file system of `path`.
pub fn disk(path: &Path) -> Option<(u64, u8)> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let size = stat.fragment_size() as u64;
    let free = stat.blocks_available() as u64;
    let used = percent_used(stat.blocks() as u64, stat.blocks_free() as u64, free);
    Some((free.saturating_mul(size), used))
}

/// As df counts: what is kept back for the system is neither in use nor to be had.
fn percent_used(all: u64, free: u64, to_be_had: u64) -> u8 {
    let used = all.saturating_sub(free);
    let of = used.saturating_add(to_be_had).max(1);
    (u128::from(used) * 100).div_ceil(u128::from(of)).min(100) as u8
}

fn local_v4(fib_trie: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = "";
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line.ends_with("/32 host LOCAL") && !last.starts_with("127.") {
            found.push(last.to_owned());
        }
    }
    found
}

fn local_v6(if_inet6: &str) -> Vec<String> {
    let address = |line: &str| {
        let number = u128::from_str_radix(line.split(' ').next()?, 16).ok()?;
        let address = std::net::Ipv6Addr::from(number);
        (!address.is_loopback() && !address.is_unicast_link_local()).then(|| address.to_string())
    };
    if_inet6.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_kernels_tables() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 10.1.2.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), ["10.1.2.3"]);
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 02 40 00 80     eth0\n";
        assert_eq!(local_v6(v6), ["fd00::2"]);
    }

    #[test]
    fn blocks_that_nobody_can_have_are_not_in_use() {
        assert_eq!(percent_used(1000, 730, 250), 52);
        assert_eq!(percent_used(1000, 100, 0), 100);
        assert_eq!(percent_used(1000, 1000, 900), 0);
        assert_eq!(percent_used(0, 0, 0), 0);
    }

    #[test]
    fn this_machine_has_a_boot_id_and_a_disk() {
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(disk(Path::new("/")).is_some_and(|(_, percent)| percent <= 100));
        assert!(crate::actor::clock::boot_ms() > 0 && default_slots() >= 16);
    }
}

//! Who this process is: name, data directory, start counter, machine and kernel boot.

use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::actor::worker::machine;
use crate::cluster::{NodeIdentity, Role};
use crate::config::{Home, replace_file};
use crate::model::id::Boot;

/// What the umask leaves of it.
const MODE: u32 = 0o666;

/// Counts this start, durably, and says who we are. Once per start.
///
/// # Errors
/// The node's data directory cannot be written.
pub fn begin(home: &Home, node: &str, role: Role) -> io::Result<NodeIdentity> {
    let directory = home.node_dir(node);
    fs::create_dir_all(&directory)?;
    let data_dir = data_id(&home.node_uuid_file(node))?;
    let boot = next_boot(&directory.join("boot"))?;
    let machine_id = machine::machine_id();
    let machine_id = if machine_id.is_empty() {
        nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    } else {
        machine_id
    };
    Ok(NodeIdentity {
        name: node.into(),
        role,
        data_dir,
        boot,
        machine_id: machine_id.into(),
        boot_id: machine::boot_id().unwrap_or_default().into(),
    })
}

fn data_id(file: &Path) -> io::Result<Uuid> {
    if let Ok(text) = fs::read_to_string(file)
        && let Ok(id) = Uuid::parse_str(text.trim())
    {
        return Ok(id);
    }
    let id = Uuid::new_v4();
    replace_file(file, id.to_string().as_bytes(), MODE)?;
    Ok(id)
}

fn next_boot(file: &Path) -> io::Result<Boot> {
    let last: u64 = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    // A counter that fell back would look like an old process.
    replace_file(file, (last + 1).to_string().as_bytes(), MODE)?;
    Ok(Boot(last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_of_a_node_counts_and_its_data_directory_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let first = begin(&home, "w1", Role::Worker).unwrap();
        let second = begin(&home, "w1", Role::Worker).unwrap();
        assert_eq!((first.boot, second.boot), (Boot(1), Boot(2)));
        assert_eq!(first.data_dir, second.data_dir);
        assert_ne!(begin(&home, "w2", Role::Worker).unwrap().data_dir, first.data_dir);
    }
}

//! Who a process is on the link, what it says of itself first, and which of two claims to one name wins.
//!
//! `admit` is pure: the handshake calls it with what the hub knows.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::feature::FEATURE_LEVEL;
use crate::model::id::{Boot, Epoch};
use crate::model::time::Timestamp;

/// Oldest and newest wire protocol this build speaks.
pub const PROTOCOL_MIN: u16 = 1;
pub const PROTOCOL_MAX: u16 = 1;

const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Master,
    Worker,
    Http,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Master, Role::Worker, Role::Http];

    /// The reverse of its text.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.to_string() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Master => "master",
            Role::Worker => "worker",
            Role::Http => "http",
        })
    }
}

/// A process of the cluster. `data_dir` and `boot` tell its incarnations apart, `machine_id` and `boot_id`
/// say whether what ran before on that host can still be alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// Unique in the cluster: `m1`, `w1`, `h1`.
    pub name: Arc<str>,
    pub role: Role,
    /// UUID written into the data directory when it was made.
    pub data_dir: Uuid,
    /// Counts the starts with that data directory.
    pub boot: Boot,
    pub machine_id: Arc<str>,
    pub boot_id: Arc<str>,
}

impl NodeIdentity {
    /// The name with the incarnation, `m1#7`: a restarted process never competes with its dead self.
    pub fn wire_name(&self) -> String {
        format!("{}#{}", self.name, self.boot)
    }

    /// Letters, digits, `.`, `_` and `-`: what may stand in a file name, a label and a certificate.
    pub fn has_valid_name(&self) -> bool {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !self.name.is_empty() && self.name.len() <= NAME_CHARS_MAX && self.name.chars().all(allowed)
    }
}

/// The newest leadership a process has heard of. Workers and HttpServers follow the highest epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub epoch: Epoch,
    /// Name of the active Master of that epoch, if one is known.
    pub leader: Option<Arc<str>>,
}

/// The first thing each side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol_min: u16,
    pub protocol_max: u16,
    pub feature_level: u32,
    pub identity: NodeIdentity,
    /// Where the node listens for others, if it does.
    pub address: Option<Arc<str>>,
    pub standing: Standing,
    pub process: Process,
}

/// The process behind a node, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub version: Arc<str>,
    /// Wall time of its start, milliseconds since 1970.
    pub started_ms: i64,
}

impl Process {
    /// This one, as if it had started now.
    pub(super) fn this() -> Self {
        Self {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_ms: Timestamp::from(std::time::SystemTime::now()).0,
        }
    }
}

impl Hello {
    pub fn new(identity: NodeIdentity, address: Option<Arc<str>>, standing: Standing, process: Process) -> Self {
        Self {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            feature_level: FEATURE_LEVEL,
            identity,
            address,
            standing,
            process,
        }
    }

    /// The newest protocol that both sides speak.
    pub fn common_protocol(&self, other: &Hello) -> Option<u16> {
        let newest = self.protocol_max.min(other.protocol_max);
        (newest >= self.protocol_min.max(other.protocol_min)).then_some(newest)
    }
}

/// What the hub knows about a name when somebody claims it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The session that holds the name now.
    pub live: Option<&'a NodeIdentity>,
    /// Whether that session was heard of lately.
    pub is_fresh: bool,
    /// Highest boot counter seen of the claimant's data directory, alive or not.
    pub highest_boot: Option<Boot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    Accept,
    /// The same process again, or its newer incarnation: the old session ends first.
    Evict,
    Refuse(String),
}

/// Who may have the name. A higher boot counter of the same data directory evicts the old session; another
/// data directory, or a copy of it on another machine, waits until the live one is silent.
pub fn admit(own: &NodeIdentity, claimant: &NodeIdentity, known: Known<'_>) -> Admission {
    if !claimant.has_valid_name() {
        return Admission::Refuse("the node name is not valid".into());
    }
    if claimant.name == own.name {
        return Admission::Refuse(format!("{} is this node's own name", own.name));
    }
    if let Some(highest) = known.highest_boot
        && claimant.boot < highest
    {
        return Admission::Refuse(format!(
            "start {} of {} is over: start {highest} of the same data directory was seen",
            claimant.boot, claimant.name
        ));
    }
    let Some(live) = known.live else { return Admission::Accept };
    if live.data_dir != claimant.data_dir {
        return held_by_other(claimant, known.is_fresh, "a process with another data directory");
    }
    if live.machine_id != claimant.machine_id {
        return held_by_other(
            claimant,
            known.is_fresh,
            "a process with a copy of the data directory on another machine",
        );
    }
    Admission::Evict
}

fn held_by_other(claimant: &NodeIdentity, is_fresh: bool, holder: &str) -> Admission {
    if is_fresh {
        Admission::Refuse(format!("the name {} is held by {holder}", claimant.name))
    } else {
        Admission::Evict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, dir: u128, boot: u64) -> NodeIdentity {
        NodeIdentity {
            name: name.into(),
            role: Role::Worker,
            data_dir: Uuid::from_u128(dir),
            boot: Boot(boot),
            machine_id: "machine".into(),
            boot_id: "boot".into(),
        }
    }

    fn fresh(live: &NodeIdentity) -> Known<'_> {
        Known { live: Some(live), is_fresh: true, highest_boot: Some(live.boot) }
    }

    #[test]
    fn a_higher_or_equal_start_of_the_same_directory_evicts_the_old_session() {
        let (own, old) = (node("m1", 9, 1), node("w1", 1, 4));
        assert_eq!(admit(&own, &node("w1", 1, 5), fresh(&old)), Admission::Evict);
        assert_eq!(admit(&own, &node("w1", 1, 4), fresh(&old)), Admission::Evict);
    }

    #[test]
    fn an_older_start_is_refused_even_when_nobody_holds_the_name() {
        let own = node("m1", 9, 1);
        let known = Known { highest_boot: Some(Boot(5)), ..Known::default() };
        assert!(matches!(admit(&own, &node("w1", 1, 4), known), Admission::Refuse(_)));
        assert_eq!(admit(&own, &node("w1", 1, 6), known), Admission::Accept);
    }

    #[test]
    fn another_directory_is_refused_while_the_live_one_is_fresh() {
        let (own, live) = (node("m1", 9, 1), node("w1", 1, 4));
        let known = Known { highest_boot: None, ..fresh(&live) };
        assert!(matches!(admit(&own, &node("w1", 2, 9), known), Admission::Refuse(_)));
        assert_eq!(admit(&own, &node("w1", 2, 9), Known { is_fresh: false, ..known }), Admission::Evict);
        let copied = NodeIdentity { machine_id: "other".into(), ..node("w1", 1, 5) };
        assert!(matches!(admit(&own, &copied, fresh(&live)), Admission::Refuse(_)));
    }

    #[test]
    fn nobody_may_have_our_own_or_a_malformed_name() {
        let own = node("m1", 9, 1);
        for bad in ["m1", "", "w#1", "a/b", "w 1", &"x".repeat(65)] {
            assert!(matches!(admit(&own, &node(bad, 1, 1), Known::default()), Admission::Refuse(_)), "{bad}");
        }
    }

    #[test]
    fn the_newest_common_protocol_is_chosen() {
        let hello = |min, max| Hello {
            protocol_min: min,
            protocol_max: max,
            ..Hello::new(node("a", 1, 1), None, Standing::default(), Process::default())
        };
        assert_eq!(hello(1, 3).common_protocol(&hello(2, 5)), Some(3));
        assert_eq!(hello(1, 2).common_protocol(&hello(3, 5)), None);
    }
}

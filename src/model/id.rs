//! Names and numbers of things. Ids are newtypes so that an instance cannot be passed for a sequence number.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $inner:ty) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

number!(
    /// A run of a workflow, counted over the whole cluster; shown as `#10342`.
    InstanceNumber,
    u64
);
number!(
    /// One leadership. Replicated counter, raised by each take-over; what workers and `RF_FENCE` see as "term".
    Epoch,
    u64
);
number!(
    /// Position of an event in the cluster's history, gap-free from 1.
    Seq,
    u64
);
number!(
    /// Rises with every whole rerun of an instance, from 1.
    Generation,
    u32
);
number!(
    /// Version of one workflow's definition, from 1.
    VersionNumber,
    u32
);
number!(
    /// Place of a node in `Definition::nodes`, for one version.
    NodeIndex,
    u32
);
number!(
    /// Place of an edge in `Definition::edges`, for one version.
    EdgeIndex,
    u32
);
number!(
    /// A voter of the replicated log (`m1` is 1).
    MasterId,
    u64
);
number!(
    /// Start counter of one process with one data directory.
    Boot,
    u64
);

name!(
    /// Name of a workflow: 1-128 characters, Chinese allowed.
    WorkflowName
);
name!(
    /// Name of a node inside a definition.
    NodeName
);
name!(
    /// Name of a trigger inside a workflow. `cron`, `cron-N`, `default`, `depend`, `manual`, `sub`, `backfill` are reserved.
    TriggerId
);
name!(
    /// Name of a worker, unique in the cluster (`w1`).
    WorkerId
);
name!(
    /// Lower-case hex SHA-256 of some content.
    ContentHash
);
name!(
    /// A directory that definitions are read from: the UUID in its `.ractorflow-source`.
    SourceId
);
name!(
    /// Who did it: `user:li`, `token:ci`, `file:m1:/…`, `schedule`, `engine`.
    Principal
);

impl NodeIndex {
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl EdgeIndex {
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One try of one node (or of one shard of it) on one worker: the unit of fencing, of slots, of logs and of
/// the promise "at most one alive". Written `instance.generation.node.index.number`, e.g. `10342.1.5.0.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    pub instance: InstanceNumber,
    pub generation: Generation,
    pub node: NodeIndex,
    /// 0 for a plain node; 1… for the shards of a fan-out.
    pub index: u32,
    /// Counts the tries of this (instance, generation, node, index) from 1; never reused.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}.{}", self.instance, self.generation, self.node, self.index, self.number)
    }
}

/// The text is not `instance.generation.node.index.number`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an attempt id (expected instance.generation.node.index.number): {0}")]
pub struct BadAttemptId(pub String);

impl FromStr for AttemptId {
    type Err = BadAttemptId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadAttemptId(text.to_owned());
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(bad);
        let id = AttemptId {
            instance: InstanceNumber(next()?.parse().map_err(|_| bad())?),
            generation: Generation(next()?.parse().map_err(|_| bad())?),
            node: NodeIndex(next()?.parse().map_err(|_| bad())?),
            index: next()?.parse().map_err(|_| bad())?,
            number: next()?.parse().map_err(|_| bad())?,
        };
        if parts.next().is_some() { Err(bad()) } else { Ok(id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_id_reads_back_what_it_prints() {
        let id: AttemptId = "10342.1.5.0.2".parse().unwrap();
        assert_eq!(id.to_string(), "10342.1.5.0.2");
        assert_eq!(id.node, NodeIndex(5));
        for bad in ["", "1.2.3.4", "1.2.3.4.5.6", "a.1.1.1.1", "-1.1.1.1.1"] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad}");
        }
    }
}

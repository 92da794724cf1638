//! The words for how far something is. The engine keeps richer states with their data; these are the names
//! that store, API, pages and command line show. One letter each, the same on page and terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal, $letter:literal, $zh:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The English word, stable in JSON, XML and the store.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The letter shown beside the colour.
            pub fn letter(self) -> char {
                match self { $($name::$variant => $letter,)* }
            }

            /// The Chinese word for pages and tables.
            pub fn word_zh(self) -> &'static str {
                match self { $($name::$variant => $zh,)* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words!(
    /// State of a node in one generation of an instance.
    NodeWord {
        Waiting = "waiting", 'W', "等待依赖";
        Queued = "queued", 'Q', "排队";
        Dispatched = "dispatched", 'D', "已派发";
        Running = "running", 'R', "运行中";
        Retrying = "retrying", 'Y', "等待重试";
        Paused = "paused", 'P', "挂起";
        Succeeded = "succeeded", 'S', "成功";
        Failed = "failed", 'F', "失败";
        Killed = "killed", 'K', "已杀死";
        TimedOut = "timed_out", 'T', "超时";
        Skipped = "skipped", 'I', "跳过";
        UpstreamFailed = "upstream_failed", 'U', "上游失败";
        Lost = "lost", 'L', "失联";
    }
);

words!(
    /// State of an instance.
    InstanceWord {
        Queued = "queued", 'Q', "排队";
        Running = "running", 'R', "运行中";
        Paused = "paused", 'P', "挂起";
        Succeeded = "succeeded", 'S', "成功";
        Failed = "failed", 'F', "失败";
        Killed = "killed", 'K', "已杀死";
    }
);

words!(
    /// State of one attempt of a node.
    AttemptWord {
        Dispatched = "dispatched", 'D', "已派发";
        Running = "running", 'R', "运行中";
        Succeeded = "succeeded", 'S', "成功";
        Failed = "failed", 'F', "失败";
        Killed = "killed", 'K', "已杀死";
        TimedOut = "timed_out", 'T', "超时";
        Lost = "lost", 'L', "失联";
    }
);

impl NodeWord {
    /// Nothing more happens to the node in this generation.
    pub fn is_terminal(self) -> bool {
        match self {
            NodeWord::Succeeded
            | NodeWord::Failed
            | NodeWord::Killed
            | NodeWord::TimedOut
            | NodeWord::Skipped
            | NodeWord::UpstreamFailed => true,
            NodeWord::Waiting
            | NodeWord::Queued
            | NodeWord::Dispatched
            | NodeWord::Running
            | NodeWord::Retrying
            | NodeWord::Paused
            | NodeWord::Lost => false,
        }
    }
}

impl InstanceWord {
    pub fn is_terminal(self) -> bool {
        match self {
            InstanceWord::Succeeded | InstanceWord::Failed | InstanceWord::Killed => true,
            InstanceWord::Queued | InstanceWord::Running | InstanceWord::Paused => false,
        }
    }

    /// akkaflow's code for this state, used only at the edges that speak its language.
    pub fn akkaflow_code(self) -> u8 {
        match self {
            InstanceWord::Queued => 0,
            InstanceWord::Running => 1,
            InstanceWord::Paused => 2,
            InstanceWord::Succeeded => 3,
            InstanceWord::Failed => 4,
            InstanceWord::Killed => 5,
        }
    }
}

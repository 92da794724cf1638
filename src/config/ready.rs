//! What a started role says about itself: `run/<node>.ready`, written by the role when it can do its work and
//! removed when it stops. Start scripts wait for it, status and the command line read it.

use serde::{Deserialize, Serialize};

use crate::model::message::{self, Message};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Master,
    Worker,
    Http,
    Standalone,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Worker => "worker",
            Role::Http => "http",
            Role::Standalone => "standalone",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub node: String,
    pub role: Role,
    pub pid: u32,
    /// `host:port` it listens on; workers listen nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// One word or number worth printing: `active`, `4 slots`.
    #[serde(default, serialize_with = "message::parts")]
    pub note: Message,
    /// A master at the first start of its cluster that others have to be started for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_waiting: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::{Lang, Voice};
    use crate::say;

    #[test]
    fn whoever_reads_the_file_chooses_the_language_of_the_note() {
        let ready = Ready {
            node: "w1".to_owned(),
            role: Role::Worker,
            pid: 7,
            address: None,
            note: say!("{} slot{s}", 4),
            is_waiting: false,
        };
        let read: Ready = serde_json::from_str(&serde_json::to_string(&ready).unwrap()).unwrap();
        assert_eq!(read, ready);
        assert_eq!(read.note.in_voice(Voice { lang: Lang::Zh, ..Voice::default() }), "4 个槽位");
        let older = r#"{"node":"w1","role":"worker","pid":7,"note":"4 slots"}"#;
        assert_eq!(serde_json::from_str::<Ready>(older).unwrap().note, Message::verbatim("4 slots"));
    }
}

//! What a worker tells each task of ours of the settings, in a file of the task's work directory.

use serde::{Deserialize, Serialize};

use super::{Mail, Worker};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskSettings {
    pub mail: Mail,
    pub monitor_entries_max: usize,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { mail: Mail::default(), monitor_entries_max: Worker::default().monitor_entries_max }
    }
}

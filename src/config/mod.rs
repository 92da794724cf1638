//! conf/ractorflow.toml as typed values: every limit of the product, with its unit in its name.
//!
//! Owns the sections and their defaults (`section`), reading a file and the environment over them (`read`), the
//! annotated default file (`default_file`), the directories of an installation (`home`) and what a started role says
//! about itself (`ready`). Must not know what a value is used for. Start reading at `section`.

mod default_file;
mod home;
mod read;
mod ready;
mod replace;
mod section;
mod task;
mod value;

pub use default_file::default_file;
pub use home::{Home, HomeError};
pub use read::{ConfigError, Fault, Loaded, Source, check_text, read_text};
pub use ready::{Ready, Role};
pub use replace::replace_file;
pub use section::{
    Cluster, Compat, Config, Definitions, Http, KEYS, Key, Limits, Logs, Mail, Master, Raft, Retention, Schedule,
    Start, Supervise, Time, Worker,
};
pub use task::TaskSettings;
pub use value::{BadMasterAddress, MasterAddress, Undefined, is_loopback};

use crate::model::message::Lang;

impl Config {
    /// Reads `conf/ractorflow.toml` of `home` and the environment over it. A missing file means all defaults.
    pub fn load(home: &Home) -> Result<Config, ConfigError> {
        Ok(Loaded::load(home)?.config)
    }
}

impl Mail {
    /// Is there a server to hand mail to?
    pub fn is_set(&self) -> bool {
        !self.host.is_empty() && !self.from.is_empty()
    }

    pub fn lang(&self) -> Lang {
        match self.language.as_str() {
            "en" => Lang::En,
            "zh" => Lang::Zh,
            _ => locale(),
        }
    }
}

impl Http {
    /// What links to the pages begin with, without a slash at the end.
    pub fn pages_url(&self) -> String {
        match self.public_url.trim_end_matches('/') {
            "" if self.bind.contains(':') => format!("http://[{}]:{}", self.bind, self.port),
            "" => format!("http://{}:{}", self.bind, self.port),
            url => url.to_owned(),
        }
    }
}

/// The language of this process's surroundings; English where they say nothing.
pub fn locale() -> Lang {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let said = names.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    if said.is_some_and(|said| said.starts_with("zh")) { Lang::Zh } else { Lang::En }
}

impl Time {
    /// The IANA name that `zone` stands for on this host; UTC where the host does not say.
    pub fn zone_name(&self) -> String {
        if self.zone != "local" {
            return self.zone.clone();
        }
        let linked = std::fs::read_link("/etc/localtime").ok();
        let linked = linked.as_deref().and_then(|path| path.to_str()).and_then(|path| path.split("zoneinfo/").nth(1));
        let named = std::fs::read_to_string("/etc/timezone").ok();
        [std::env::var("TZ").ok().as_deref(), linked, named.as_deref()]
            .into_iter()
            .flatten()
            .map(|name| name.trim().trim_start_matches(':'))
            .find(|name| name.parse::<chrono_tz::Tz>().is_ok())
            .unwrap_or("UTC")
            .to_owned()
    }
}

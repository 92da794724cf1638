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
mod value;

pub use default_file::default_file;
pub use home::{Home, HomeError};
pub use read::{ConfigError, Fault, Loaded, Source, check_text, read_text};
pub use ready::{Ready, Role};
pub use replace::replace_file;
pub use section::{
    Cluster, Compat, Config, Definitions, Http, KEYS, Key, Limits, Logs, Mail, Master, Raft, Retention, Start,
    Supervise, Time, Worker,
};
pub use value::{BadMasterAddress, MasterAddress, Undefined};

impl Config {
    /// Reads `conf/ractorflow.toml` of `home` and the environment over it. A missing file means all defaults.
    pub fn load(home: &Home) -> Result<Config, ConfigError> {
        Ok(Loaded::load(home)?.config)
    }
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

//! Links to file systems: `<link name type host port username password desc?>`. `local` is always there.

use super::fault::Faults;
use super::outside::Outside;
use super::read::Element;
use super::secret::Secret;
use super::value::{self, Property, password, properties, resolved};
use super::{FILE_LINKS_FILE, LOCAL, Link, LinkFault};
use crate::model::diagnostic::Severity;
use crate::model::fault::nearest;
use crate::model::link::LinkKind;
use crate::model::message::Message;
use crate::model::policy::parse_bool;
use crate::say;

#[derive(Debug, Clone)]
pub struct FileLink {
    pub name: String,
    pub kind: FileKind,
    /// Blank for a local one.
    pub host: String,
    pub port: Option<u16>,
    pub username: String,
    pub password: Secret,
    pub properties: Vec<(String, Secret)>,
    pub description: Option<String>,
    pub warnings: Vec<LinkFault>,
}

impl FileLink {
    /// A property, trimmed; `None` when it is missing or blank.
    pub fn property(&self, name: &str) -> Option<&str> {
        let (_, value) = self.properties.iter().find(|(known, _)| known == name)?;
        Some(value.expose().trim()).filter(|text| !text.is_empty())
    }

    /// A property that is true or false, and false when it is missing.
    pub fn is_set(&self, name: &str) -> Result<bool, Message> {
        self.property(name)
            .map_or(Ok(false), |text| parse_bool(text).map_err(|error| say!("{} {}", name, error.said())))
    }

    /// What nobody may see: the password and the properties that are like it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let of_properties = self.properties.iter().filter(|(name, _)| SECRET_PROPERTIES.contains(&name.as_str()));
        std::iter::once(&self.password).chain(of_properties.map(|(_, value)| value))
    }

    /// The words of the other side, who may know them, without them.
    pub fn quoted(&self, text: &str) -> Message {
        let masked = self.secrets().fold(text.trim().to_owned(), |text, secret| secret.mask(&text));
        Message::verbatim(masked).cut(QUOTED_BYTES_MAX)
    }
}

/// akkaflow knew the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    Local,
    Sftp,
    Hdfs,
    S3,
}

impl FileKind {
    pub const ALL: &[FileKind] = &[Self::Local, Self::Sftp, Self::Hdfs, Self::S3];

    /// The word of the attribute `type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Sftp => "SFTP",
            Self::Hdfs => "HDFS",
            Self::S3 => "S3",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word().eq_ignore_ascii_case(word.trim()))
    }
}

/// What a link of each kind may have beside its attributes.
const SFTP_PROPERTIES: &[&str] = &["private-key", "passphrase", "host-key", "known-hosts", "timeout"];
const HDFS_PROPERTIES: &[&str] = &["tls", "timeout"];
const S3_PROPERTIES: &[&str] =
    &["bucket", "region", "endpoint", "path-style", "tls", "session-token", "part-size", "timeout"];
/// Of namenodes, as links of akkaflow have them.
const RPC_PORTS: &[u16] = &[8020, 9000];
/// Longest text of the other side that is kept.
const QUOTED_BYTES_MAX: usize = 1024;
const SECRET_PROPERTIES: &[&str] = &["passphrase", "session-token"];

const ATTRIBUTES: &[&str] = &["name", "type", "host", "port", "username", "password", "desc"];

impl Link for FileLink {
    const KIND: LinkKind = LinkKind::File;
    const FILE: &'static str = FILE_LINKS_FILE;
    const ROOT: &'static str = "file-links";

    fn name(&self) -> &str {
        &self.name
    }

    fn always() -> Option<Self> {
        Some(Self {
            name: LOCAL.to_owned(),
            kind: FileKind::Local,
            host: String::new(),
            port: None,
            username: String::new(),
            password: Secret::default(),
            properties: Vec::new(),
            description: None,
            warnings: Vec::new(),
        })
    }

    fn read(element: &Element, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Option<Self> {
        let before = faults.found.len();
        element.check_attributes(ATTRIBUTES, faults);
        let name = element.trimmed("name").map(str::to_owned);
        let kind = kind(element, faults);
        let text = |name: &str, faults: &mut Faults<'_>| {
            let attribute = element.attribute(name)?;
            resolved(attribute, outside, faults).map(|text| text.trim().to_owned())
        };
        let host = text("host", faults).unwrap_or_default();
        let username = text("username", faults).unwrap_or_default();
        let port = text("port", faults).filter(|port| !port.is_empty());
        let port = port.and_then(|text| {
            let port = text.parse::<u16>().ok();
            // A local link has none; akkaflow wants the attribute all the same, so 0 and -1 stand there.
            if port.is_none() && kind != Some(FileKind::Local) {
                let at = element.attribute("port").map_or(element.at, |attribute| attribute.at);
                faults.error(at, say!("\"{}\" is no port", text), None);
            }
            port.filter(|port| *port > 0)
        });
        let port = port.filter(|port| {
            let is_rpc = kind == Some(FileKind::Hdfs) && RPC_PORTS.contains(port);
            if is_rpc {
                let at = element.attribute("port").map_or(element.at, |attribute| attribute.at);
                let message = say!("{} is the port of Hadoop's RPC: WebHDFS is asked at its own", *port);
                faults.warning(at, message, Some(say!("write {}=\"…\"", "port")));
            }
            !is_rpc
        });
        let password = password(element, outside, faults).unwrap_or_default();
        let properties = properties(element, outside, faults);
        // A store of S3 may be named by the whole address instead.
        let has_endpoint = || properties.iter().any(|property| property.name == "endpoint");
        let needs_host = kind.is_some_and(|kind| kind != FileKind::Local && !(kind == FileKind::S3 && has_endpoint()));
        if host.is_empty() && needs_host {
            let message = say!("<{}> needs the attribute {}", "link", "host");
            faults.error(element.at, message, say!("write {}=\"…\"", "host"));
        }
        if let Some(kind) = kind {
            check_properties(kind, &properties, faults);
        }
        let properties = properties.into_iter().map(|property| (property.name, Secret::new(property.value))).collect();
        let warnings = faults.found[before..].to_vec();
        let is_bad = warnings.iter().any(|fault| fault.severity == Severity::Error);
        let (name, kind) = name.zip(kind).filter(|_| !is_bad)?;
        let description = element.trimmed("desc").map(str::to_owned);
        Some(Self { name, kind, host, port, username, password, properties, description, warnings })
    }
}

/// A property that means nothing is told: it was meant to.
fn check_properties(kind: FileKind, properties: &[Property], faults: &mut Faults<'_>) {
    let known = match kind {
        FileKind::Local => &[],
        FileKind::Sftp => SFTP_PROPERTIES,
        FileKind::Hdfs => HDFS_PROPERTIES,
        FileKind::S3 => S3_PROPERTIES,
    };
    for property in properties.iter().filter(|property| !known.contains(&property.name.as_str())) {
        let near = nearest(&property.name, known.iter().copied());
        let hint = near.map(|near| say!("write {} instead of {}", near, property.name));
        faults.warning(property.at, say!("option {} is not known and is ignored", property.name), hint);
    }
}

fn kind(element: &Element, faults: &mut Faults<'_>) -> Option<FileKind> {
    let Some(word) = element.attribute("type") else {
        let message = say!("<{}> needs the attribute {}", "link", "type");
        faults.error(element.at, message, say!("write {}=\"…\"", "type"));
        return None;
    };
    value::kind(word, FileKind::ALL, FileKind::word, FileKind::from_word, faults)
}

//! Links to file systems: `<link name type host port username password desc?>`. `local` is always there.

use super::fault::Faults;
use super::outside::Outside;
use super::read::Element;
use super::secret::Secret;
use super::value::{self, password, properties, resolved};
use super::{FILE_LINKS_FILE, LOCAL, Link, LinkFault};
use crate::model::diagnostic::Severity;
use crate::model::link::LinkKind;
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
        if host.is_empty() && kind.is_some_and(|kind| kind != FileKind::Local) {
            let message = say!("<{}> needs the attribute {}", "link", "host");
            faults.error(element.at, message, say!("write {}=\"…\"", "host"));
        }
        let password = password(element, outside, faults).unwrap_or_default();
        let properties = properties(element, outside, faults);
        let properties = properties.into_iter().map(|property| (property.name, Secret::new(property.value))).collect();
        let warnings = faults.found[before..].to_vec();
        let is_bad = warnings.iter().any(|fault| fault.severity == Severity::Error);
        let (name, kind) = name.zip(kind).filter(|_| !is_bad)?;
        let description = element.trimmed("desc").map(str::to_owned);
        Some(Self { name, kind, host, port, username, password, properties, description, warnings })
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

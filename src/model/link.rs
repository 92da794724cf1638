//! Links that the cluster keeps: what a person writes of one, and what is kept of it. Pure data.
//!
//! Of a kept link everybody may see what it is and where; its text as a whole is sealed (`connector::link::seal`) and
//! is nobody's business here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Attributes by which an action names a link, with the kind that each means.
pub const ATTRIBUTES: &[(&str, LinkKind)] = &[("db-link", LinkKind::Database), ("file-link", LinkKind::File)];

/// A database and a file system may have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    Database,
    File,
}

impl LinkKind {
    pub const ALL: &[LinkKind] = &[Self::Database, Self::File];

    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::File => "file",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

/// A link as a person writes it: the words of `db_links.xml` and `file_links.xml`, references (`${env:…}`,
/// `${file:…}`) unresolved. Blank is not written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkText {
    pub kind: LinkKind,
    pub name: String,
    /// The word of `type`.
    pub type_word: String,
    /// `jdbc-url`, of databases.
    #[serde(default)]
    pub url: String,
    /// Of file systems.
    #[serde(default)]
    pub host: String,
    #[serde(default)]
    pub port: String,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub password: String,
    #[serde(default)]
    pub properties: Vec<(String, String)>,
    #[serde(default)]
    pub description: String,
}

/// Names the link alone: any other part may hold a secret.
impl fmt::Debug for LinkText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkText({} {:?})", self.kind.word(), self.name)
    }
}

impl LinkText {
    pub fn new(kind: LinkKind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            type_word: String::new(),
            url: String::new(),
            host: String::new(),
            port: String::new(),
            username: String::new(),
            password: String::new(),
            properties: Vec::new(),
            description: String::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        let texts = [&self.name, &self.type_word, &self.url, &self.host, &self.port, &self.username, &self.password];
        let properties = self.properties.iter().map(|(name, value)| name.len() + value.len());
        texts.iter().map(|text| text.len()).sum::<usize>() + self.description.len() + properties.sum::<usize>()
    }
}

/// Does the text say where a value is, rather than hold it?
pub fn is_reference(text: &str) -> bool {
    text.contains("${env:") || text.contains("${file:")
}

/// A link that the cluster keeps. All but `sealed` is for everybody's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLink {
    pub kind: LinkKind,
    pub name: String,
    /// The word of `type`.
    pub type_word: String,
    /// Address without options and secrets.
    pub place: String,
    pub username: String,
    pub description: String,
    /// The whole `LinkText` under the cluster's key; opaque.
    pub sealed: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_printed_shows_no_secret() {
        let text = LinkText { password: "s3cret".into(), url: "jdbc:x".into(), ..LinkText::new(LinkKind::File, "a") };
        assert_eq!(format!("{text:?}"), "LinkText(file \"a\")");
        assert_eq!(text.bytes(), 1 + 6 + 6);
        assert!(is_reference("a${env:X}") && is_reference("${file:x}") && !is_reference("${other}"));
        assert!(LinkKind::ALL.iter().all(|kind| LinkKind::from_word(kind.word()) == Some(*kind)));
    }
}

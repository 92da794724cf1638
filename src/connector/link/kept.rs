//! Links that the cluster keeps: read as if their element stood in the host's own file, sealed when they are put, and
//! shown without what is secret.

use std::path::{Path, PathBuf};

use super::fault::{Faults, LinkError};
use super::outside::{Outside, PLACEHOLDER};
use super::read::{Attribute, Element, Place};
use super::seal::{SealError, SealKey};
use super::{DbKind, DbLink, FileKind, FileLink, LOCAL, Link, LinkFault, url};
use crate::model::diagnostic::Severity;
use crate::model::link::{KeptLink, LinkKind, LinkText, is_reference};
use crate::model::message::Message;
use crate::model::secret_name::is_secret_name;
use crate::say;

/// Of one link, all its texts together.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const PROPERTIES_MAX: usize = 200;
/// What is shown where something is not.
pub const MASK: &str = "***";
/// Properties that are no secret whatever they say; of all others the value is not shown.
const SHOWN_PROPERTIES: &[&str] = &[
    "private-key",
    "known-hosts",
    "host-key",
    "region",
    "bucket",
    "endpoint",
    "path-style",
    "part-size",
    "tls",
    "timeout",
];
/// No part of a file.
const NOWHERE: Place = Place { line: 0, column: 0 };

/// Why a link was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum KeepError {
    Wrong(LinkError),
    Refused { message: Message, hint: Option<Message> },
    Seal(SealError),
}

impl KeepError {
    pub fn said(&self) -> Message {
        match self {
            Self::Wrong(error) => error.said(),
            Self::Refused { message, .. } => message.clone(),
            Self::Seal(error) => error.said(),
        }
    }

    pub fn hint(&self) -> Option<Message> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::Wrong(_) | Self::Seal(_) => None,
        }
    }
}

/// The kind of link that these words of `type` mean.
pub fn kind_of(type_word: &str) -> Option<LinkKind> {
    if DbKind::from_word(type_word).is_some() {
        return Some(LinkKind::Database);
    }
    FileKind::from_word(type_word).map(|_| LinkKind::File)
}

/// Checks the link and seals it. What references fetch is looked up where it is used, not here.
pub fn keep(key: &SealKey, text: &LinkText) -> Result<KeptLink, KeepError> {
    let (type_word, place) = described(text)?;
    let sealed = key.seal(text).map_err(KeepError::Seal)?;
    Ok(KeptLink {
        kind: text.kind,
        name: text.name.clone(),
        type_word,
        place,
        username: text.username.clone(),
        description: text.description.clone(),
        sealed,
    })
}

/// The text without what is secret: passwords and properties are shown only where they are references.
pub fn masked(text: &LinkText) -> LinkText {
    let mask = |value: &str| match value.is_empty() || is_reference(value) {
        true => value.to_owned(),
        false => MASK.to_owned(),
    };
    let properties = text.properties.iter().map(|(name, value)| {
        let is_shown = SHOWN_PROPERTIES.iter().any(|known| known.eq_ignore_ascii_case(name));
        // An address may have a user and his password before the host.
        let is_shown = is_shown && !value.contains('@');
        (name.clone(), if is_shown { value.clone() } else { mask(value) })
    });
    LinkText { password: mask(&text.password), properties: properties.collect(), ..text.clone() }
}

fn described(text: &LinkText) -> Result<(String, String), KeepError> {
    let refused = |message, hint: Option<Message>| Err(KeepError::Refused { message, hint });
    if text.bytes() > TEXT_BYTES_MAX || text.properties.len() > PROPERTIES_MAX {
        return refused(say!("link \"{}\" is too long", text.name), None);
    }
    if text.kind == LinkKind::File && text.name == LOCAL {
        let hint = say!("give it another name");
        return refused(say!("the file link \"{}\" is that of every host itself", LOCAL), Some(hint));
    }
    if let Some(option) = secret_in(&text.url) {
        let hint = say!("write the password into the attribute password");
        return refused(say!("the URL holds a password (option {})", option), Some(hint));
    }
    // References are for the hosts that use the link; here something stands in for what they fetch.
    let outside = Outside::elsewhere(Path::new(""));
    let has_reference = is_reference(&text.url)
        || is_reference(&text.host)
        || is_reference(&text.port)
        || text.properties.iter().any(|(_, value)| is_reference(value));
    let host = if text.host.is_empty() { endpoint(text) } else { text.host.as_str() };
    let found = match text.kind {
        LinkKind::Database => {
            read::<DbLink>(text, &outside).map(|link| (link.kind.word().to_owned(), link.url.to_string()))
        }
        LinkKind::File => read::<FileLink>(text, &outside).map(|link| {
            let place = link.port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            (link.kind.word().to_owned(), place)
        }),
    };
    match found {
        Ok(found) if !has_reference => Ok(found),
        // Only the host that has the values can tell whether they fit.
        Ok(_) | Err(_) if has_reference && kind_of(&text.type_word) == Some(text.kind) => {
            let place = match text.kind {
                LinkKind::Database => without_options(&text.url),
                LinkKind::File if text.port.is_empty() => host.to_owned(),
                LinkKind::File => format!("{host}:{}", text.port),
            };
            Ok((text.type_word.trim().to_ascii_uppercase(), place))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(KeepError::Wrong(error)),
    }
}

/// Of a store that is named by its address instead of its host.
fn endpoint(text: &LinkText) -> &str {
    let endpoint = text.properties.iter().find(|(name, _)| name == "endpoint");
    endpoint.and_then(|(_, address)| address.trim().rsplit('@').next()).unwrap_or_default()
}

/// The address of a URL that is not understood before its references are looked up.
fn without_options(url: &str) -> String {
    // A reference has no `?` or `;` that begins options.
    let end = url.find(['?', ';']).unwrap_or(url.len());
    let url = &url[..end];
    match (url.find("//"), url.rfind('@')) {
        (Some(begin), Some(at)) if at > begin => format!("{}{}", &url[..begin + 2], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

/// The option of a URL that holds a secret itself.
fn secret_in(url: &str) -> Option<String> {
    let resolved = Outside::elsewhere(Path::new("")).resolve(url).unwrap_or_else(|_| url.to_owned());
    let parsed = url::parse(&resolved).ok()?;
    if parsed.password.as_ref().is_some_and(|password| !password.is_empty() && password.expose() != PLACEHOLDER) {
        return Some("password".to_owned());
    }
    let holds = |value: &str| !value.is_empty() && value != PLACEHOLDER;
    let of_driver: &[(String, String)] = match &parsed.url {
        super::DbUrl::Odbc(pairs) => pairs,
        _ => &[],
    };
    let options = parsed.options.iter().chain(of_driver);
    options.into_iter().find(|(name, value)| is_secret_name(name) && holds(value)).map(|(name, _)| name.clone())
}

/// The link of a name among those of the cluster, opened with this host's secret.
pub(super) fn find<L: Link>(outside: &Outside<'_>, kept: &[KeptLink], name: &str) -> Option<Result<L, LinkError>> {
    let link = kept.iter().find(|link| link.kind == L::KIND && link.name == name)?;
    let opened = SealKey::read(outside.conf_dir).and_then(|key| key.open(link));
    Some(match opened {
        Ok(text) => read(&text, outside),
        Err(error) => {
            let fault = LinkFault {
                severity: Severity::Error,
                file: PathBuf::new(),
                line: 0,
                column: 0,
                message: error.said(),
                hint: None,
            };
            Err(LinkError::Faulty { name: name.to_owned(), faults: vec![fault] })
        }
    })
}

fn read<L: Link>(text: &LinkText, outside: &Outside<'_>) -> Result<L, LinkError> {
    let mut faults = Faults::new(Path::new(""));
    match L::read(&element(text), outside, &mut faults) {
        Some(link) if !faults.has_errors() => Ok(link),
        _ => Err(LinkError::Faulty { name: text.name.clone(), faults: faults.found }),
    }
}

/// As it would stand in a file.
fn element(text: &LinkText) -> Element {
    let own: &[(&str, &String)] = match text.kind {
        LinkKind::Database => &[("jdbc-url", &text.url)],
        LinkKind::File => &[("host", &text.host), ("port", &text.port)],
    };
    let common = [
        ("name", &text.name),
        ("type", &text.type_word),
        ("username", &text.username),
        ("password", &text.password),
        ("desc", &text.description),
    ];
    let attributes = common.iter().chain(own).filter(|(_, value)| !value.is_empty());
    let attributes = attributes.map(|(name, value)| attribute(name, value)).collect();
    let property = |(name, value): &(String, String)| Element {
        name: "property".to_owned(),
        at: NOWHERE,
        attributes: vec![attribute("name", name)],
        children: Vec::new(),
        text: value.clone(),
    };
    let properties = Element {
        name: "properties".to_owned(),
        at: NOWHERE,
        attributes: Vec::new(),
        children: text.properties.iter().map(property).collect(),
        text: String::new(),
    };
    Element { name: "link".to_owned(), at: NOWHERE, attributes, children: vec![properties], text: String::new() }
}

fn attribute(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), value: value.to_owned(), at: NOWHERE }
}

#[cfg(test)]
mod tests {
    use super::super::seal::COOKIE_FILE;
    use super::super::{db_link_among, file_link_among};
    use super::*;

    fn key() -> SealKey {
        SealKey::of(&[3; 32])
    }

    fn conf() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(COOKIE_FILE), hex::encode([3; 32])).unwrap();
        dir
    }

    fn database(url: &str) -> LinkText {
        LinkText {
            url: url.to_owned(),
            username: "etl".to_owned(),
            password: "canary-77".to_owned(),
            ..LinkText::new(LinkKind::Database, "dwh")
        }
    }

    fn refused(text: &LinkText) -> String {
        let error = keep(&key(), text).unwrap_err();
        let said = error.said().english();
        assert!(!said.contains("canary"), "{said}");
        said
    }

    #[test]
    fn a_kept_link_is_the_same_as_one_of_the_file() {
        let conf = conf();
        let mut text = database("jdbc:postgresql://10.1.2.3:5433/dwh?sslmode=require");
        text.properties.push(("socketTimeout".to_owned(), "30".to_owned()));
        let kept = keep(&key(), &text).unwrap();
        assert_eq!((kept.type_word.as_str(), kept.place.as_str()), ("POSTGRESQL", "10.1.2.3:5433/dwh"));
        assert!(!format!("{kept:?}").contains("canary"));
        let link = db_link_among(conf.path(), std::slice::from_ref(&kept), "dwh").unwrap();
        assert_eq!((link.kind, link.password.expose()), (DbKind::PostgreSql, "canary-77"));
        assert_eq!(link.options.socket_timeout, Some(std::time::Duration::from_secs(30)));
        assert_eq!(link.warnings, []);
        let unknown = db_link_among(conf.path(), &[kept], "dhw").unwrap_err().said().english();
        assert!(unknown.contains("dhw"), "{unknown}");
    }

    #[test]
    fn the_file_of_the_host_goes_first_and_a_broken_one_is_told() {
        let conf = conf();
        let kept = [keep(&key(), &database("jdbc:sqlite:kept.db")).unwrap()];
        let file = conf.path().join("db_links.xml");
        std::fs::write(&file, "<db-links><link name='dwh' type='SQLITE' jdbc-url='jdbc:sqlite:own.db'/></db-links>")
            .unwrap();
        assert_eq!(db_link_among(conf.path(), &kept, "dwh").unwrap().url.to_string(), "own.db");
        std::fs::write(&file, "<db-links><link name='other' type='SQLITE' jdbc-url='jdbc:sqlite:own.db'/></db-links>")
            .unwrap();
        assert_eq!(db_link_among(conf.path(), &kept, "dwh").unwrap().url.to_string(), "kept.db");
        std::fs::write(&file, "<db-links><link name='dwh'").unwrap();
        assert!(matches!(db_link_among(conf.path(), &kept, "dwh"), Err(LinkError::Faulty { .. })));
    }

    #[test]
    fn without_the_clusters_secret_it_does_not_open() {
        let conf = conf();
        let kept = [keep(&key(), &database("jdbc:sqlite:kept.db")).unwrap()];
        std::fs::write(conf.path().join(COOKIE_FILE), hex::encode([4; 32])).unwrap();
        let said = db_link_among(conf.path(), &kept, "dwh").unwrap_err().said().english();
        assert!(said.contains("another secret of the cluster"), "{said}");
        std::fs::remove_file(conf.path().join(COOKIE_FILE)).unwrap();
        let said = db_link_among(conf.path(), &kept, "dwh").unwrap_err().said().english();
        assert!(said.contains("cluster.cookie"), "{said}");
    }

    #[test]
    fn a_secret_in_the_url_is_refused() {
        for url in [
            "jdbc:mysql://etl:canary-1@h/db",
            "jdbc:postgresql://h/db?password=canary-2",
            "jdbc:sqlserver://h;databaseName=d;trustStorePassword=canary-3",
            "odbc:DSN=x;PWD=canary-4",
            "odbc:DSN=x;AccessToken=canary-5",
        ] {
            assert!(refused(&database(url)).contains("the URL holds a password"), "{url}");
        }
        assert!(keep(&key(), &database("jdbc:mysql://h/db?password=${env:PW}")).is_ok());
    }

    #[test]
    fn what_only_the_hosts_know_is_not_looked_up() {
        let conf = conf();
        let text = LinkText {
            type_word: "mysql".to_owned(),
            password: "${env:RF_NO_SUCH_VARIABLE}".to_owned(),
            ..database("jdbc:mysql://${env:RF_NO_SUCH_HOST}:3306/db?useSSL=true")
        };
        let kept = keep(&key(), &text).unwrap();
        assert_eq!(
            (kept.type_word.as_str(), kept.place.as_str()),
            ("MYSQL", "jdbc:mysql://${env:RF_NO_SUCH_HOST}:3306/db")
        );
        let said = db_link_among(conf.path(), &[kept], "dwh").unwrap_err().said().english();
        assert!(said.contains("RF_NO_SUCH_HOST") && !said.contains(":0:0"), "{said}");
        assert!(refused(&LinkText { type_word: "MYSQLL".to_owned(), ..text }).contains("MYSQLL"));
    }

    #[test]
    fn file_systems_are_kept_too_but_not_the_hosts_own() {
        let conf = conf();
        let text = LinkText {
            type_word: "SFTP".to_owned(),
            host: "10.1.2.5".to_owned(),
            port: "2222".to_owned(),
            username: "etl".to_owned(),
            password: "canary-9".to_owned(),
            ..LinkText::new(LinkKind::File, "landing")
        };
        let kept = keep(&key(), &text).unwrap();
        assert_eq!(kept.place, "10.1.2.5:2222");
        assert_eq!(file_link_among(conf.path(), &[kept], "landing").unwrap().password.expose(), "canary-9");
        let store = LinkText {
            type_word: "S3".to_owned(),
            host: String::new(),
            port: String::new(),
            properties: vec![
                ("bucket".to_owned(), "b".to_owned()),
                ("endpoint".to_owned(), "https://u:canary@minio".to_owned()),
            ],
            ..text.clone()
        };
        assert_eq!(keep(&key(), &store).unwrap().place, "minio");
        assert_eq!(masked(&store).properties[1].1, MASK);
        assert!(refused(&LinkText { name: LOCAL.to_owned(), ..text.clone() }).contains("local"));
        assert!(refused(&LinkText { host: String::new(), ..text.clone() }).contains("host"));
        assert!(refused(&LinkText { description: "x".repeat(64 * 1024), ..text }).contains("too long"));
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let text = LinkText {
            properties: [("passphrase", "canary-1"), ("private-key", "k.pem"), ("secret-key", "${file:x}"), ("a", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..database("jdbc:sqlite:x")
        };
        let shown = masked(&text);
        assert_eq!(shown.password, MASK);
        let values: Vec<&str> = shown.properties.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, [MASK, "k.pem", "${file:x}", ""]);
        assert_eq!(masked(&LinkText { password: "${env:PW}".to_owned(), ..text }).password, "${env:PW}");
    }
}

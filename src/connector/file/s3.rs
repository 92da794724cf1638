//! Objects of a store that speaks S3, as files of one bucket.
//!
//! A new object goes there in parts and is nothing to anybody until the last call puts them together, so what is there
//! stays until then. Directories are what names have in common up to a slash. What is asked, signed and tried again is
//! the library's.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::services::S3 as Store;
use opendal::{Error, ErrorKind, HttpTransporter, OperationContext, Operator, Writer};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::Url;

use super::bridge::Upload;
use super::error::FileError;
use super::pattern::Pattern;
use super::{Found, Pieces, Remote, place, timeout_of, web};
use crate::connector::cause::innermost;
use crate::connector::link::FileLink;
use crate::model::message::Message;
use crate::model::policy::parse_size;
use crate::say;

const REGION: &str = "us-east-1";
/// Hosts of this end have buckets in their names.
const VIRTUAL_HOSTS: &str = ".amazonaws.com";
/// What one request asks for, and how many are under way.
const READ_BYTES: usize = 4 << 20;
const READS_AT_ONCE: usize = 2;
/// Of what is written: S3 takes 10,000 parts of at least 5 MiB.
const PART_BYTES: u64 = 16 << 20;
const PART_BYTES_MIN: u64 = 5 << 20;
const PART_BYTES_MAX: u64 = 512 << 20;
const PARTS_MAX: u64 = 10_000;
const PARTS_AT_ONCE: usize = 2;
/// After a fault that may pass.
const TRIES: usize = 3;
const TRY_AGAIN_MAX: Duration = Duration::from_secs(5);
/// Names that one answer lists.
const LIST_BATCH: usize = 1000;
/// To take back an object that is not published.
const DISCARD_WITHIN: Duration = Duration::from_secs(5);
const ACCESS_DENIED: &str = "AccessDenied";

pub(super) struct S3(There);

#[derive(Clone)]
struct There {
    operator: Operator,
    link: FileLink,
    address: String,
    timeout: Duration,
    part_bytes: u64,
}

impl S3 {
    pub fn open(link: &FileLink) -> Result<Self, FileError> {
        let wrong = |why: Message| FileError::Link { link: link.name.clone(), why };
        let bucket = link.property("bucket").ok_or_else(|| wrong(say!("the property {} is missing", "bucket")))?;
        let url = endpoint(link)?;
        let (host, endpoint) = (url.host_str().unwrap_or_default(), url.as_str().trim_end_matches('/'));
        let part_bytes = link.property("part-size").map_or(Ok(PART_BYTES), parse_size);
        let part_bytes = part_bytes.map_err(|error| wrong(say!("{} {}", "part-size", error.said())))?;
        if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&part_bytes) {
            return Err(wrong(say!("part-size must be {} to {} MiB", PART_BYTES_MIN >> 20, PART_BYTES_MAX >> 20)));
        }
        let region = link.property("region").or_else(|| region_of(host)).unwrap_or(REGION);
        // What the environment of the process says is not this link's.
        let mut store = Store::default().bucket(bucket).endpoint(endpoint).region(region);
        store = store.disable_config_load().disable_ec2_metadata();
        if !flag(link, "path-style", !host.ends_with(VIRTUAL_HOSTS))? {
            store = store.enable_virtual_host_style();
        }
        store = match link.username.is_empty() {
            true => store.skip_signature(),
            false => store.access_key_id(&link.username).secret_access_key(link.password.expose()),
        };
        if let Some(token) = link.property("session-token") {
            store = store.session_token(token);
        }
        let timeout = timeout_of(link)?;
        let client = web::client(reqwest::redirect::Policy::default()).map_err(wrong)?;
        let client = HttpTransporter::new(ReqwestTransport::new(client));
        let operator = Operator::new(store).map_err(|error| wrong(said(link, &error)))?;
        let operator = operator.with_context(OperationContext::new().with_http_transport(client));
        let operator = operator.layer(TimeoutLayer::new().with_timeout(timeout).with_io_timeout(timeout));
        let operator =
            operator.layer(RetryLayer::new().with_max_times(TRIES).with_max_delay(TRY_AGAIN_MAX).with_jitter());
        Ok(Self(There { operator, link: link.clone(), address: format!("{endpoint}/{bucket}"), timeout, part_bytes }))
    }
}

fn flag(link: &FileLink, name: &str, default: bool) -> Result<bool, FileError> {
    let set = link.property(name).map_or(Ok(default), |_| link.is_set(name));
    set.map_err(|why| FileError::Link { link: link.name.clone(), why })
}

/// Where the store is, without its bucket.
pub(super) fn endpoint(link: &FileLink) -> Result<Url, FileError> {
    let text = match link.property("endpoint") {
        Some(endpoint) => endpoint.to_owned(),
        None => {
            let scheme = if flag(link, "tls", true)? { "https" } else { "http" };
            let port = link.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{scheme}://{}{port}", link.host)
        }
    };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && !text.contains('@'));
    // What stands before an @ may be a password.
    let shown = text.rsplit('@').next().unwrap_or_default();
    url.ok_or_else(|| FileError::Link {
        link: link.name.clone(),
        why: say!("\"{}\" is no address of the web (http://… or https://…)", shown),
    })
}

/// `s3.eu-central-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    let region = host.strip_suffix(VIRTUAL_HOSTS)?.strip_prefix("s3.")?;
    (!region.is_empty()).then_some(region)
}

/// In the words of the store, or of what broke on the way there.
fn said(link: &FileLink, error: &Error) -> Message {
    let text = match (field(error.message(), "code"), field(error.message(), "message")) {
        (Some(code), Some(text)) if !text.is_empty() => format!("{text} ({code})"),
        (Some(code), _) => code.to_owned(),
        _ if std::error::Error::source(error).is_some() => innermost(error).english(),
        _ => error.message().to_owned(),
    };
    link.quoted(&text)
}

/// Of an error of S3, as the library writes it: `S3Error { code: "NoSuchBucket", message: "…", … }`.
fn field<'e>(text: &'e str, name: &str) -> Option<&'e str> {
    let fields = text.strip_prefix("S3Error {")?;
    let (_, rest) = fields.split_once(&format!(" {name}: \""))?;
    Some(rest.split_once('"')?.0).filter(|found| !found.is_empty())
}

impl There {
    fn place(&self, path: &str) -> String {
        place(&self.link.name, path, &self.address)
    }

    fn failed(&self, path: &str, error: Error) -> FileError {
        let place = self.place(path);
        match error.kind() {
            ErrorKind::NotFound => FileError::NotFound { place, is_here: false },
            ErrorKind::ConditionNotMatch => FileError::Refused { place, why: say!("it was changed while it was read") },
            _ if error.message().contains("timeout reached") => {
                FileError::Refused { place, why: say!("no answer within {} s", self.timeout.as_secs()) }
            }
            // Who asks for the head of an object gets no words.
            ErrorKind::PermissionDenied if error.message().is_empty() => {
                FileError::Denied { place, why: say!("the store does not let this access key in") }
            }
            // The key is known, and may not do this.
            ErrorKind::PermissionDenied if field(error.message(), "code") != Some(ACCESS_DENIED) => {
                FileError::Denied { place, why: said(&self.link, &error) }
            }
            _ => FileError::Refused { place, why: said(&self.link, &error) },
        }
    }

    /// The key of a file.
    fn key<'p>(&self, path: &'p str) -> Result<&'p str, FileError> {
        let key = path.trim_start_matches('/');
        match key.is_empty() || key.ends_with('/') {
            true => Err(FileError::NotAFile { place: self.place(path) }),
            false => Ok(key),
        }
    }

    async fn has_any(&self, path: &str, prefix: &str) -> Result<bool, FileError> {
        let failed = |error: Error| self.failed(path, error);
        let mut names = self.operator.lister_with(prefix).recursive(true).limit(1).await.map_err(failed)?;
        Ok(names.try_next().await.map_err(failed)?.is_some())
    }
}

/// What the keys of a directory begin with.
fn directory_key(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("{path}/") }
}

#[async_trait::async_trait]
impl Remote for S3 {
    fn address(&self) -> &str {
        &self.0.address
    }

    async fn read(&self, path: &str) -> Result<Pieces, FileError> {
        let there = self.0.clone();
        let key = there.key(path)?.to_owned();
        let found = there.operator.stat(&key).await.map_err(|error| there.failed(path, error))?;
        let length = found.content_length();
        if length == 0 {
            return Ok((stream::empty().boxed(), Some(0)));
        }
        // All parts are of the one object that is there now.
        let etag = found.etag().map(str::to_owned);
        let reader = match &etag {
            Some(etag) => there.operator.reader_with(&key).if_match(etag),
            None => there.operator.reader_with(&key),
        };
        let reader = reader.chunk(READ_BYTES).concurrent(READS_AT_ONCE).await;
        let reader = reader.map_err(|error| there.failed(path, error))?;
        let pieces = reader.into_stream(0..length).await.map_err(|error| there.failed(path, error))?;
        let path = path.to_owned();
        let pieces = pieces.map(move |piece| match piece {
            Ok(piece) => Ok(piece.to_bytes()),
            Err(error) => Err(there.failed(&path, error)),
        });
        Ok((pieces.boxed(), Some(length)))
    }

    async fn create(&self, path: &str) -> Result<Box<dyn Upload>, FileError> {
        let there = self.0.clone();
        let key = there.key(path)?;
        let part_bytes = usize::try_from(there.part_bytes).unwrap_or(usize::MAX);
        let writer = there.operator.writer_with(key).chunk(part_bytes).concurrent(PARTS_AT_ONCE).await;
        let writer = writer.map_err(|error| there.failed(path, error))?;
        Ok(Box::new(S3Upload { there, path: path.to_owned(), writer, n_bytes: 0 }))
    }

    async fn remove(&self, path: &str) -> Result<(), FileError> {
        let key = self.0.key(path)?;
        self.0.operator.delete(key).await.map_err(|error| self.0.failed(path, error))
    }

    async fn list(&self, directory: &str, pattern: &Pattern, max: usize) -> Result<BTreeMap<String, u64>, FileError> {
        let there = &self.0;
        let failed = |error: Error| there.failed(directory, error);
        let begin = directory_key(directory);
        let prefix = format!("{begin}{}", pattern.prefix());
        let mut names = there.operator.lister_with(&prefix).limit(LIST_BATCH).await.map_err(failed)?;
        let (mut found, mut n_seen) = (BTreeMap::new(), 0);
        while let Some(entry) = names.try_next().await.map_err(failed)? {
            n_seen += 1;
            if n_seen > max {
                return Err(FileError::TooManyEntries { place: there.place(directory), max });
            }
            let name = entry.path().strip_prefix(&begin).unwrap_or_default();
            if !name.is_empty() && !name.contains('/') && pattern.is_match(name) {
                found.insert(name.to_owned(), entry.metadata().content_length());
            }
        }
        Ok(found)
    }

    async fn look(&self, path: &str) -> Result<Found, FileError> {
        let there = &self.0;
        if let Ok(key) = there.key(path) {
            match there.operator.stat(key).await {
                Ok(found) => return Ok(Found::File { bytes: found.content_length() }),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(there.failed(path, error)),
            }
        }
        let key = directory_key(path);
        // The bucket itself is there, whatever is in it.
        match there.has_any(path, &key).await? || key.is_empty() {
            true => Ok(Found::Directory),
            false => Err(FileError::NotFound { place: there.place(path), is_here: false }),
        }
    }

    async fn test(&self) -> Result<(), FileError> {
        self.0.has_any("/", "").await.map(|_| ())
    }

    async fn close(&self) {}
}

struct S3Upload {
    there: There,
    path: String,
    writer: Writer,
    n_bytes: u64,
}

#[async_trait::async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
        self.n_bytes += piece.len() as u64;
        if self.n_bytes > PARTS_MAX * self.there.part_bytes {
            let why = say!(
                "it is larger than {} parts of {} MiB: raise the link's part-size",
                PARTS_MAX,
                self.there.part_bytes >> 20
            );
            return Err(FileError::Refused { place: self.there.place(&self.path), why });
        }
        self.writer.write(piece).await.map_err(|error| self.there.failed(&self.path, error))
    }

    async fn publish(&mut self) -> Result<(), FileError> {
        self.writer.close().await.map(|_| ()).map_err(|error| self.there.failed(&self.path, error))
    }

    async fn discard(&mut self) {
        // When the store is gone the parts stay there, seen by nobody.
        let _ = tokio::time::timeout(DISCARD_WITHIN, self.writer.abort()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::connector::link::{FileKind, LOCAL, Secret, file_link};

    fn link(host: &str, properties: &[(&str, &str)]) -> FileLink {
        let local = file_link(Path::new("/nonexistent"), LOCAL).unwrap();
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        FileLink { kind: FileKind::S3, name: "lake".into(), host: host.into(), properties, ..local }
    }

    fn opened(host: &str, properties: &[(&str, &str)]) -> Result<String, String> {
        let opened = S3::open(&link(host, properties));
        opened.map(|s3| s3.0.address).map_err(|error| error.said().english())
    }

    #[test]
    fn a_link_says_where_the_bucket_is() {
        let bucket = ("bucket", "b");
        assert_eq!(opened("minio", &[bucket]).unwrap(), "https://minio/b");
        assert_eq!(opened("", &[bucket, ("endpoint", "http://minio:9000/")]).unwrap(), "http://minio:9000/b");
        assert_eq!(opened("minio", &[]).unwrap_err(), "file link lake: the property bucket is missing");
        assert!(opened("a b", &[bucket]).unwrap_err().contains("is no address of the web"));
        let said = opened("", &[bucket, ("endpoint", "https://key:canary@minio")]).unwrap_err();
        assert!(said.contains("\"minio\" is no address") && !said.contains("canary"), "{said}");
        assert!(opened("h", &[bucket, ("part-size", "1MB")]).unwrap_err().contains("part-size must be 5 to 512 MiB"));
        assert!(opened("h", &[bucket, ("tls", "perhaps")]).unwrap_err().contains("tls"));
        assert_eq!(region_of("s3.eu-central-1.amazonaws.com"), Some("eu-central-1"));
        assert_eq!((region_of("s3.amazonaws.com"), region_of("minio")), (None, None));
    }

    #[test]
    fn an_error_of_the_store_is_said_in_its_words() {
        let text = r#"S3Error { code: "NoSuchBucket", message: "no such bucket", resource: "", request_id: "x" }"#;
        let own = said(&link("h", &[]), &Error::new(ErrorKind::ConfigInvalid, text));
        assert_eq!(own.english(), "no such bucket (NoSuchBucket)");
        let link_of = |password: &str| FileLink { password: Secret::new(password), ..link("h", &[]) };
        let echo = r#"S3Error { code: "X", message: "with canary-1", resource: "" }"#;
        let own = said(&link_of("canary-1"), &Error::new(ErrorKind::PermissionDenied, echo)).english();
        assert_eq!(own, "with *** (X)");
        let error = Error::new(ErrorKind::Unexpected, "send http request").set_source(std::io::Error::other("refused"));
        assert_eq!(said(&link("h", &[]), &error).english(), "refused");
    }

    #[test]
    fn keys_are_paths_without_their_first_slash() {
        let s3 = S3::open(&link("h", &[("bucket", "b")])).unwrap();
        assert_eq!(s3.0.key("/in/a.csv").unwrap(), "in/a.csv");
        assert!(s3.0.key("/").is_err() && s3.0.key("/in/").is_err());
        assert_eq!((directory_key("/in/").as_str(), directory_key("/").as_str()), ("in/", ""));
    }
}

//! One call of WebHDFS: which namenode is asked, what it answers, and what its errors mean.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::LOCATION;
use reqwest::{Body, Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::error::FileError;
use super::super::{place, web};
use crate::connector::link::FileLink;
use crate::model::message::Message;
use crate::say;

/// Of namenodes and datanodes, over HTTP and HTTPS.
const PORT: u16 = 9870;
const TLS_PORT: u16 = 9871;
/// Of a link.
const NAMENODES_MAX: usize = 8;
/// Longest answer that is no content of a file: a listing comes in parts.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The other side of a link.
pub(super) struct There {
    client: reqwest::Client,
    link: FileLink,
    pub address: String,
    /// In the order of the link.
    namenodes: Vec<Url>,
    /// Who answered last.
    at: AtomicUsize,
    pub timeout: Duration,
}

/// An error as WebHDFS writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    remote_exception: Exception,
}

#[derive(Debug, Default, Deserialize)]
struct Exception {
    #[serde(default)]
    exception: String,
    #[serde(default)]
    message: String,
}

/// In the order of the link.
pub(in crate::connector::file) fn namenodes(link: &FileLink) -> Result<Vec<Url>, FileError> {
    let wrong = |why: Message| FileError::Link { link: link.name.clone(), why };
    let has_tls = link.is_set("tls").map_err(wrong)?;
    let (scheme, port) = if has_tls { ("https", TLS_PORT) } else { ("http", PORT) };
    let port = link.port.unwrap_or(port);
    let mut namenodes = Vec::new();
    for host in link.host.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let text = if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
        let url = Url::parse(&text).ok().filter(|url| url.path() == "/" && !host.contains(['@', '?', '#']));
        // What stands before an @ may be a password.
        let shown = host.rsplit('@').next().unwrap_or_default();
        namenodes.push(url.ok_or_else(|| wrong(say!("\"{}\" is no host", shown)))?);
    }
    match (1..=NAMENODES_MAX).contains(&namenodes.len()) {
        true => Ok(namenodes),
        false => Err(wrong(say!("host must name 1 to {} namenodes, separated by commas", NAMENODES_MAX))),
    }
}

impl There {
    pub fn new(link: &FileLink, timeout: Duration) -> Result<Self, FileError> {
        let namenodes = namenodes(link)?;
        // Where it sends us to is asked by ourselves.
        let client = web::client(reqwest::redirect::Policy::none());
        let client = client.map_err(|why| FileError::Link { link: link.name.clone(), why })?;
        let names: Vec<String> = namenodes.iter().map(host_of).collect();
        let address = match link.username.is_empty() {
            true => names.join(","),
            false => format!("{}@{}", link.username, names.join(",")),
        };
        Ok(Self { client, link: link.clone(), address, namenodes, at: AtomicUsize::new(0), timeout })
    }

    pub fn place(&self, path: &str) -> String {
        place(&self.link.name, path, &self.address)
    }

    pub fn refused(&self, path: &str, why: Message) -> FileError {
        FileError::Refused { place: self.place(path), why }
    }

    /// Asks the namenodes in turn until one is the active one. Its answer may send us on.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        op: &str,
        more: &[(&str, &str)],
    ) -> Result<Response, FileError> {
        let first = self.at.load(Ordering::Relaxed);
        let mut failed = say!("no answer within {} s", self.timeout.as_secs());
        for n in 0..self.namenodes.len() {
            let at = (first + n) % self.namenodes.len();
            let namenode = &self.namenodes[at];
            let url = url(namenode, path, op, &self.link.username, more);
            let response = match self.within(self.client.request(method.clone(), url).send()).await {
                Ok(response) => response,
                Err(why) => {
                    failed = say!("{}: {}", host_of(namenode), why);
                    continue;
                }
            };
            let status = response.status();
            if status.is_success() || status == StatusCode::TEMPORARY_REDIRECT {
                self.at.store(at, Ordering::Relaxed);
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED {
                let why = say!("{} asks for a login (Kerberos), which this build does not have", host_of(namenode));
                return Err(FileError::Denied { place: self.place(path), why });
            }
            let exception = self.exception(response).await;
            if matches!(exception.exception.as_str(), "StandbyException" | "RetriableException") {
                failed = say!("{}: {}", host_of(namenode), self.said(status, &exception));
                continue;
            }
            self.at.store(at, Ordering::Relaxed);
            return Err(self.failed(path, status, &exception));
        }
        Err(self.refused(path, failed))
    }

    /// What a namenode knows, as this type says it.
    pub async fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        op: &str,
        more: &[(&str, &str)],
    ) -> Result<T, FileError> {
        let response = self.ask(method, path, op, more).await?;
        let bytes = self.body(response, ANSWER_BYTES_MAX).await.map_err(|why| self.refused(path, why))?;
        // Where there is nothing to say, nothing is said.
        let bytes = if bytes.is_empty() { b"{}".to_vec() } else { bytes };
        serde_json::from_slice(&bytes).map_err(|error| {
            let why = say!("it answers something else than WebHDFS: {}", error.to_string());
            self.refused(path, why)
        })
    }

    /// Goes where a namenode sends us.
    pub fn sent_on(&self, path: &str, response: &Response) -> Result<Url, FileError> {
        let location = response.headers().get(LOCATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let url = location.and_then(|text| response.url().join(text).ok());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| self.refused(path, say!("it does not say where the content is")))
    }

    pub async fn get(&self, path: &str, url: Url) -> Result<Response, FileError> {
        let place = host_of(&url);
        let response = self.within(self.client.get(url).send()).await;
        let response = response.map_err(|why| self.refused(path, say!("{}: {}", place, why)))?;
        self.checked(path, response).await
    }

    /// A body that comes bit by bit: who waits for it bounds the time.
    pub async fn put(&self, path: &str, url: Url, body: Body) -> Result<Response, FileError> {
        let place = host_of(&url);
        let request = self.client.put(url).header(reqwest::header::CONTENT_TYPE, "application/octet-stream");
        let response = request.body(body).send().await;
        let response = response.map_err(|error| self.refused(path, say!("{}: {}", place, web::why(&error))))?;
        self.checked(path, response).await
    }

    async fn checked(&self, path: &str, response: Response) -> Result<Response, FileError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let exception = self.exception(response).await;
        Err(self.failed(path, status, &exception))
    }

    fn failed(&self, path: &str, status: StatusCode, exception: &Exception) -> FileError {
        match exception.exception.as_str() {
            "FileNotFoundException" => FileError::NotFound { place: self.place(path), is_here: false },
            _ => self.refused(path, self.said(status, exception)),
        }
    }

    /// The first line: behind it comes a stack of calls.
    fn said(&self, status: StatusCode, exception: &Exception) -> Message {
        let text = match exception.exception.is_empty() {
            true => status.to_string(),
            false => format!("{}: {}", exception.exception, exception.message.lines().next().unwrap_or_default()),
        };
        self.link.quoted(&text)
    }

    async fn exception(&self, response: Response) -> Exception {
        let bytes = self.body(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        serde_json::from_slice::<Refusal>(&bytes).map(|refusal| refusal.remote_exception).unwrap_or_default()
    }

    async fn body(&self, response: Response, max: usize) -> Result<Vec<u8>, Message> {
        let mut bytes = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = self.patiently(pieces.next()).await? {
            let piece = piece.map_err(|error| web::why(&error))?;
            if bytes.len() + piece.len() > max {
                return Err(say!("it is larger than {} bytes", max));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The answer, unless it takes longer than the link allows.
    pub async fn patiently<T>(&self, work: impl Future<Output = T>) -> Result<T, Message> {
        let late = |_| say!("no answer within {} s", self.timeout.as_secs());
        tokio::time::timeout(self.timeout, work).await.map_err(late)
    }

    async fn within(&self, work: impl Future<Output = reqwest::Result<Response>>) -> Result<Response, Message> {
        self.patiently(work).await?.map_err(|error| web::why(&error))
    }
}

fn url(base: &Url, path: &str, op: &str, user: &str, more: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(["webhdfs", "v1"]).extend(path.split('/').filter(|part| !part.is_empty()));
    }
    let mut query = url.query_pairs_mut();
    query.append_pair("op", op);
    if !user.is_empty() {
        query.append_pair("user.name", user);
    }
    query.extend_pairs(more);
    drop(query);
    url
}

/// `host:port`.
fn host_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

//! What every handler is given.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::{Answer, ApiError, ErrorCode, MasterClient, Query, QueryEnvelope, Reply, page};
use crate::say;

use super::clock;
use super::metrics::HttpMetrics;
use super::options::HttpOptions;

/// Last good answers that are kept for the time when no master answers.
const KEPT_ANSWERS_MAX: usize = 128;
/// Together; views of large instances are long.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub client: Arc<dyn MasterClient>,
    pub options: HttpOptions,
    pub metrics: HttpMetrics,
    /// Those that are answered at once.
    pub requests: Semaphore,
    /// Those that wait or follow.
    pub event_streams: Arc<Semaphore>,
    /// Ends streams and waits.
    pub shutdown: CancellationToken,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    answer: Answer,
    at_ms: i64,
    bytes: usize,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// An answer for a page, perhaps an old one.
pub struct Seen {
    pub answer: Answer,
    /// No master answered: how old this is, and what was said instead.
    pub stale: Option<(u64, ApiError)>,
}

impl App {
    pub fn new(client: Arc<dyn MasterClient>, options: HttpOptions, shutdown: CancellationToken) -> Self {
        let event_streams = Arc::new(Semaphore::new(options.limits.event_streams_max));
        let requests = Semaphore::new(options.limits.requests_max);
        Self(Arc::new(Inner {
            client,
            options,
            metrics: HttpMetrics::default(),
            requests,
            event_streams,
            shutdown,
            kept: Mutex::new(HashMap::new()),
        }))
    }

    /// For the API: fresh or an error.
    pub async fn ask(&self, query: impl Into<QueryEnvelope>) -> Result<Answer, ApiError> {
        let mut answer = self.client.query(query.into()).await?;
        if let Reply::Cluster(cluster) = &mut answer.reply {
            cluster.http = self.options.url.clone();
        }
        Ok(answer)
    }

    /// For pages: while masters switch, the last good answer with its age instead of an error.
    pub async fn look(&self, query: Query) -> Result<Seen, ApiError> {
        let key = serde_json::to_string(&query).map_err(ApiError::internal)?;
        let now = clock::now().0;
        match self.ask(query).await {
            Ok(answer) => {
                self.keep(key, Kept { answer: answer.clone(), at_ms: now, bytes: page::encoded_bytes(&answer) });
                Ok(Seen { answer, stale: None })
            }
            Err(error) if is_unreachable(error.code) => {
                let kept = self.kept.lock().expect("no panic while locked");
                let Some(kept) = kept.get(&key) else { return Err(error) };
                let age = u64::try_from(now - kept.at_ms).unwrap_or(0) + kept.answer.age_ms;
                Ok(Seen { answer: kept.answer.clone(), stale: Some((age, error)) })
            }
            Err(error) => Err(error),
        }
    }

    fn keep(&self, key: String, kept: Kept) {
        let mut all = self.kept.lock().expect("no panic while locked");
        all.insert(key, kept);
        let mut bytes: usize = all.values().map(|kept| kept.bytes).sum();
        while all.len() > KEPT_ANSWERS_MAX || bytes > KEPT_BYTES_MAX {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.at_ms).map(|(key, _)| key.clone());
            let Some(oldest) = oldest.and_then(|key| all.remove(&key)) else { return };
            bytes -= oldest.bytes;
        }
    }
}

/// No master could answer, as against a master that refused.
pub fn is_unreachable(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoLeader | ErrorCode::Behind | ErrorCode::NotRunning | ErrorCode::TimedOut)
}

/// A master answered with another kind of reply than asked for: its version differs from ours.
pub fn unexpected(reply: &Reply) -> ApiError {
    let kind: String = format!("{reply:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
    ApiError::new(ErrorCode::Internal, say!("the master answered with an unexpected view ({})", kind))
}

/// Takes the one reply that a query is documented to get.
#[macro_export]
macro_rules! expect_reply {
    ($answer:expr, $variant:ident) => {
        match $answer.reply {
            $crate::api::Reply::$variant(view) => Ok(view),
            other => Err($crate::http::state::unexpected(&other)),
        }
    };
}

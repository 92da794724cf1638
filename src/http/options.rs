//! What the server is told at its start.

use std::net::SocketAddr;
use std::time::Duration;

use crate::api::page::{LIMIT_DEFAULT, LIMIT_MAX};

use super::login::LoginLinks;

#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Name of this HttpServer (`h1`).
    pub id: String,
    /// Where it listens; decides what may be read without signing in.
    pub bind: SocketAddr,
    /// What pages and `cluster status` name as address: `http://127.0.0.1:8090`.
    pub url: String,
    /// Content of conf/admin.token.
    pub admin_token: String,
    pub login: LoginLinks,
    /// Host names besides loopback and `bind` that the server answers to.
    pub allowed_hosts: Vec<String>,
    /// Open to other machines without TLS: the operator insists.
    pub is_insecure: bool,
    /// Times on pages are shown in this zone unless the reader chooses UTC.
    pub zone: chrono_tz::Tz,
    pub limits: HttpLimits,
    pub akkaflow: AkkaflowRoutes,
}

/// Whether akkaflow's own routes are served, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AkkaflowRoutes {
    #[default]
    Off,
    /// To programs that send the token.
    WithToken,
    /// On a loopback bind also to programs of this machine that send none.
    WithoutToken,
}

#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Further connections wait in the kernel's queue.
    pub connections_max: usize,
    /// A connection that has not sent its headers by then is closed.
    pub header_read_ms: u64,
    /// A body that has not arrived by then is refused.
    pub body_read_ms: u64,
    /// A write that makes no progress for so long closes the connection: the reader is gone or too slow.
    pub write_stall_ms: u64,
    pub body_bytes_max: usize,
    /// Definitions are longer than other bodies.
    pub definition_bytes_max: usize,
    /// For everything but streams and waits.
    pub request_ms: u64,
    /// Requests handled at once, but for those that wait or follow; more are told to come back.
    pub requests_max: usize,
    /// Streams and waits at once.
    pub event_streams_max: usize,
    /// Rows of a list, when the request does not say and at most.
    pub page_rows: u32,
    pub page_rows_max: u32,
    /// Longest `wait` of one request; clients ask again.
    pub wait_ms_max: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_read_ms: 10_000,
            body_read_ms: 10_000,
            write_stall_ms: 30_000,
            body_bytes_max: 1 << 20,
            definition_bytes_max: 8 << 20,
            request_ms: 30_000,
            requests_max: 256,
            event_streams_max: 256,
            page_rows: LIMIT_DEFAULT,
            page_rows_max: LIMIT_MAX,
            wait_ms_max: 60_000,
        }
    }
}

impl HttpLimits {
    pub fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }
}

impl HttpOptions {
    /// Only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.bind.ip().is_loopback()
    }
}

//! How file systems that speak HTTP are reached. Each link has a client of its own, whose connections end with it.

use std::time::Duration;

use reqwest::redirect::Policy;

use crate::connector::cause::innermost;
use crate::model::message::Message;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);

pub(super) fn client(redirect: Policy) -> Result<reqwest::Client, Message> {
    reqwest::Client::builder()
        .redirect(redirect)
        .connect_timeout(CONNECT_WITHIN)
        .user_agent(concat!("ractorflow/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| why(&error))
}

/// Without the address, whose query is nobody's business.
pub(super) fn why(error: &reqwest::Error) -> Message {
    innermost(error)
}

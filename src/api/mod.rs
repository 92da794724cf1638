//! What HTTP returns and the command line prints: requests, views, error codes.
//!
//! One vocabulary for the pages, the REST API, the command line and the link between an HttpServer and the
//! masters. Owns no rule and no engine type; states and ids are the words of `model`. Field names are
//! snake_case, times RFC 3339 in UTC with milliseconds. Fields are only ever added: scripts of others read them.
//! Start reading at `query` (every read), `change` (every change) and `client` (who answers them).

pub mod akkaflow;
pub mod change;
pub mod client;
pub mod error;
pub mod exit;
pub mod log;
pub mod page;
pub mod query;
pub mod time;
pub mod view;
pub mod window;

pub use change::{Change, ChangeAnswer, ChangeEnvelope, Changed};
pub use client::{EventItem, EventStream, MasterClient};
pub use error::{ApiError, ErrorCode, ErrorItem};
pub use exit::ExitCode;
pub use log::{LogLine, LogPage, LogQuery, LogStart, LogStream};
pub use page::{Page, PageRequest};
pub use query::{Answer, InstanceRef, Query, QueryEnvelope, Reply};
pub use time::Time;
pub use view::*;
pub use window::{Focus, LeftOut, NodeOrder, NodePick, NodeWindow};

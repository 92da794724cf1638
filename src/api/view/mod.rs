//! What readers see: plain values, complete enough that page, table and JSON need no second question.

mod cluster;
mod event;
mod instance;
mod link;
mod monitor;
mod status;
mod workflow;

pub use cluster::*;
pub use event::*;
pub use instance::*;
pub use link::*;
pub use monitor::*;
pub use status::*;
pub use workflow::*;

//! Every rule of the scheduler, pure: commands in, events and effects out, time as an argument.
//!
//! No clock, I/O, randomness, hash-map iteration, floats or logging. `State` is what is replicated and changes
//! only by `State::apply`; `Engine` is the leader's copy that decides. Start reading at `command`, `event`,
//! `effect`, then `state`, then `Engine::handle`.

pub mod apply;
mod attempt;
pub mod command;
pub mod definition;
pub mod effect;
mod engine;
pub mod entry;
pub mod event;
mod fire;
mod instance;
pub mod invariant;
mod lease;
mod limit;
mod link;
mod look;
mod mail;
pub mod plan;
mod prerequisite;
mod render;
mod request;
mod retention;
mod settings;
mod source;
pub mod state;
mod trigger;
pub mod upcoming;
mod upgrade;
mod walk;
pub mod why;
mod worker;

pub use apply::Illegal;
pub use attempt::fits;
pub use command::{Command, Envelope, Now, Rejected, Reply};
pub use definition::{pack, unpack};
pub use effect::Effect;
pub use engine::{Deadline, EVENTS_MAX, Engine, Output, Scope};
pub use entry::{Applied, Entry, LogRecord, TakeOver};
pub use event::{Event, EventKind};
pub use lease::TakeOvers;
pub use look::listing_digest;
pub use mail::MailRules;
pub use retention::TRIM_MAX;
pub use settings::{Limits, ResetRule, Retention, Settings};
pub use state::State;
pub use trigger::{LATCH_TRIGGER, MANUAL_TRIGGER};
pub use upcoming::{Upcoming, upcoming};
pub use why::{Reason, why};

#[cfg(test)]
mod tests;

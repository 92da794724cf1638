//! Every rule of the scheduler, pure: commands in, events and effects out, time as an argument.
//!
//! No clock, I/O, randomness, hash-map iteration, floats or logging. `State` is what is replicated and changes
//! only by `State::apply`; `Engine` is the leader's copy that decides. Start reading at `command`, `event`,
//! `effect`, then `state`, then `Engine::handle`.

pub mod command;
pub mod effect;
pub mod entry;
pub mod event;
pub mod state;

pub use command::{Command, Envelope, Rejected, Reply};
pub use effect::Effect;
pub use entry::{Entry, LogRecord, TakeOver};
pub use event::{Event, EventKind};
pub use state::State;

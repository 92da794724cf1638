//! Given a state, when a command comes, then these events and effects, and nothing else.

mod attempt;
mod bench;
mod coordinator;
mod lease;
mod limit;
mod link;
mod mail;
mod measurement;
mod random;
mod request;
mod source;
mod trigger;
mod upgrade;
mod value;
mod walk;
mod worker;

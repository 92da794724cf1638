//! Given a state, when a command comes, then these events and effects, and nothing else.

#[allow(dead_code)]
mod bench;
mod walk;

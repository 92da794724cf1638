//! The vocabulary that every other module speaks: ids, times, definitions, states, parameters.
//!
//! Owns plain data and the pure functions over it (schedules, templates, graph checks). Must not read a
//! clock, a file or a random number, and knows no actor, store or wire. Start reading at `definition`.

pub mod action;
pub mod assignment;
pub mod attachment;
pub mod decimal;
pub mod definition;
pub mod diagnostic;
pub mod duration;
pub mod fault;
pub mod feature;
pub mod hash;
pub mod id;
pub mod lease;
pub mod link;
pub mod measurement;
pub mod message;
pub mod parameter;
pub mod policy;
pub mod schedule;
pub mod secret_name;
pub mod state;
pub mod time;
pub mod trigger;

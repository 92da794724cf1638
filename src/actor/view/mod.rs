//! Views: what readers see, built from the replicated state and the store. Reads only; decides nothing.

pub mod doubt;
pub mod event;
pub mod folder;
pub mod foresight;
pub mod instance;
mod node;
pub mod status;
pub mod workflow;

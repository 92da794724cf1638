//! Views: what readers see, built from the replicated state and the store. Reads only; decides nothing.

pub mod doubt;
pub mod event;
pub mod foresight;
pub mod instance;
pub mod status;
pub mod workflow;

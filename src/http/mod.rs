//! The HTTP server: REST API, pages, server-sent events, health, metrics.
//!
//! Owns how requests come in and how views look. Asks masters through `api::MasterClient` for everything: no
//! rule and no state of its own but sessions, counters and the last good answers (shown, greyed, while masters
//! switch). Nothing changes by GET but for akkaflow's routes, which are off by default. Start reading at `routes` (every route with who may use it), then `guard`
//! (what stands before each of them).

pub mod akkaflow;
pub mod clock;
pub mod guard;
pub mod login;
pub mod metrics;
pub mod options;
pub mod pages;
pub mod problem;
pub mod rest;
pub mod routes;
pub mod server;
pub mod state;

pub use login::LoginLinks;
pub use options::{AkkaflowRoutes, HttpLimits, HttpOptions};
pub use server::{HttpError, serve};
pub use state::App;

//! Ractorflow: an actor-based, clustered workflow scheduler.
//!
//! The modules in reading order. What each may import is a matrix, checked by tests/layers.rs.

pub mod model;

pub mod engine;

pub mod xml;

pub mod config;

pub mod api;

pub mod store;

pub mod connector;

pub mod node;

pub mod cluster;

pub mod actor;

pub mod http;

pub mod cli;

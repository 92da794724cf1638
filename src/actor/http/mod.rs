//! The HttpServer's side of the link: who leads, and requests to the masters.

mod client;

pub use client::LinkClient;

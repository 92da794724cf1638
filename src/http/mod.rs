//! The HTTP server: REST API, pages, server-sent events, health, metrics.

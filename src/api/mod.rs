//! What HTTP returns and the command line prints: requests, views, error codes. Never leaks engine types.

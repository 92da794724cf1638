//! The `ractorflow-shim` binary: keeps one attempt's processes when everything else dies.

fn main() {}

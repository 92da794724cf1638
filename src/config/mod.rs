//! conf/ractorflow.toml as typed values, every limit with its unit in its name.

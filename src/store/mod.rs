//! SQLite: the raft log, the state tables, projection, migrations, queries, retention, backup.

//! The tables of `state.db`. One row per aggregate: the columns that queries look for, and the whole value as
//! a checked body. Forward only: a step is never changed once released.

/// Step n takes `PRAGMA user_version` from n to n + 1.
pub const MIGRATIONS: &[&str] = &[
    "
-- 'point' is the moment of the log that all other rows are of.
CREATE TABLE meta (name TEXT PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

-- Aggregates that are only ever looked for by their key.
CREATE TABLE aggregate (
    kind TEXT NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

CREATE TABLE chunk (hash TEXT PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL);

CREATE TABLE version (
    workflow TEXT NOT NULL, number INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (workflow, number)
);

-- `is_resting`: no longer in memory.
CREATE TABLE fire (
    key TEXT PRIMARY KEY, workflow TEXT NOT NULL, nominal INTEGER NOT NULL, is_resting INTEGER NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX fire_by_workflow ON fire (workflow, nominal, key);
CREATE INDEX fire_live ON fire (key) WHERE is_resting = 0;

CREATE TABLE instance (
    number INTEGER PRIMARY KEY, workflow TEXT NOT NULL, state TEXT NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, started INTEGER, finished INTEGER, version INTEGER NOT NULL, generation INTEGER NOT NULL,
    principal TEXT NOT NULL, request TEXT, is_resting INTEGER NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX instance_by_workflow ON instance (workflow, number);
CREATE INDEX instance_by_state ON instance (state, number);
CREATE INDEX instance_by_workflow_state ON instance (workflow, state, number);
CREATE INDEX instance_by_created ON instance (created);
CREATE INDEX instance_by_finished ON instance (finished) WHERE finished IS NOT NULL;
CREATE INDEX instance_by_request ON instance (principal, request) WHERE request IS NOT NULL;
CREATE INDEX instance_live ON instance (number) WHERE is_resting = 0;

CREATE TABLE node (
    instance INTEGER NOT NULL, generation INTEGER NOT NULL, node INTEGER NOT NULL, idx INTEGER NOT NULL,
    state TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (instance, generation, node, idx)
) WITHOUT ROWID;

-- What happened to the newest instances, as it came out of the log.
CREATE TABLE event (
    instance INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (instance, seq)
) WITHOUT ROWID;

-- Instances that ended, by the hour (hours since 1970) and state: counted once, never summed over history.
CREATE TABLE hour_count (
    hour INTEGER NOT NULL, state TEXT NOT NULL, instances INTEGER NOT NULL,
    PRIMARY KEY (hour, state)
) WITHOUT ROWID;

CREATE TRIGGER instance_counted AFTER INSERT ON instance WHEN new.finished IS NOT NULL BEGIN
    INSERT INTO hour_count (hour, state, instances) VALUES (new.finished / 3600000, new.state, 1)
        ON CONFLICT (hour, state) DO UPDATE SET instances = instances + 1;
END;
CREATE TRIGGER instance_recounted AFTER UPDATE OF state, finished ON instance
WHEN old.state IS NOT new.state OR old.finished IS NOT new.finished BEGIN
    UPDATE hour_count SET instances = instances - 1
        WHERE old.finished IS NOT NULL AND hour = old.finished / 3600000 AND state = old.state;
    INSERT INTO hour_count (hour, state, instances)
        SELECT new.finished / 3600000, new.state, 1 WHERE new.finished IS NOT NULL
        ON CONFLICT (hour, state) DO UPDATE SET instances = instances + 1;
END;
CREATE TRIGGER instance_uncounted AFTER DELETE ON instance WHEN old.finished IS NOT NULL BEGIN
    UPDATE hour_count SET instances = instances - 1
        WHERE hour = old.finished / 3600000 AND state = old.state;
END;
",
    "
-- For retention: what is beyond the newest of a workflow, and what is old.
CREATE INDEX instance_finished_by_workflow ON instance (workflow, number) WHERE finished IS NOT NULL;
CREATE INDEX fire_by_nominal ON fire (nominal) WHERE is_resting = 1;
",
    "
-- What happened to the cluster as a whole, in the order of the log; the oldest are let go.
CREATE TABLE cluster_event (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
",
    "
-- What monitors came to: of each node the newest ones, in the order of the log.
CREATE TABLE measurement (
    workflow TEXT NOT NULL, node TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, instance INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (workflow, node, seq)
) WITHOUT ROWID;
CREATE INDEX measurement_by_time ON measurement (at);

-- The nodes that have any, and how many.
CREATE TABLE monitor (
    workflow TEXT NOT NULL, node TEXT NOT NULL, measurements INTEGER NOT NULL,
    PRIMARY KEY (workflow, node)
) WITHOUT ROWID;

CREATE TRIGGER measurement_counted AFTER INSERT ON measurement BEGIN
    INSERT INTO monitor (workflow, node, measurements) VALUES (new.workflow, new.node, 1)
        ON CONFLICT (workflow, node) DO UPDATE SET measurements = measurements + 1;
END;
CREATE TRIGGER measurement_uncounted AFTER DELETE ON measurement BEGIN
    UPDATE monitor SET measurements = measurements - 1 WHERE workflow = old.workflow AND node = old.node;
    DELETE FROM monitor WHERE workflow = old.workflow AND node = old.node AND measurements = 0;
END;
",
];

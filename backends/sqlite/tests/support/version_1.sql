-- One row for each record. A partition has a row as long as it has records.

CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- 16 bytes, drawn anew by every commit that changes the partition.
    revision BLOB NOT NULL CHECK (length(revision) = 16)
);

CREATE TABLE records (
    -- Grows, so it is the order in which the keys were first put.
    position INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL REFERENCES partitions (id),
    credential_type TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The JSON, as it was written.
    value TEXT NOT NULL,
    -- Seconds since the epoch.
    expires_on INTEGER,
    -- Starts with the partition, so it finds the whole of one, too.
    UNIQUE (partition, credential_type, key)
);

CREATE INDEX records_of_a_section ON records (credential_type);

CREATE INDEX records_that_expire ON records (expires_on) WHERE expires_on IS NOT NULL;

-- One row: the revision of the whole store, drawn anew by every commit that changes anything.
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision BLOB NOT NULL CHECK (length(revision) = 16)
);

INSERT INTO store (id, revision) VALUES (1, zeroblob(16));

-- The number in the names of the tables is the version that made them. A version that changes a
-- table gives it a new name, so that an older one that has the database open can't write to it.
--
-- SQLite keeps the text of each statement and parses it whenever the database is opened, so the
-- comments are outside of the statements.

-- A partition has a row as long as it has records. Its name is in lower case. Its revision, 16
-- bytes, is drawn anew by every commit that changes the partition.
CREATE TABLE partitions_2 (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    revision BLOB NOT NULL CHECK (length(revision) = 16)
);

-- The position grows, so it is the order in which the keys were first put into their partitions.
-- The value is the JSON as it was written; the expiry is in seconds since the epoch. A key starts
-- with the user, so the records of one user share pages of the unique index.
CREATE TABLE records_2 (
    position INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL REFERENCES partitions_2 (id),
    credential_type TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_on INTEGER,
    UNIQUE (key, credential_type)
);

CREATE INDEX records_2_by_partition ON records_2 (partition);

CREATE INDEX records_2_by_type ON records_2 (credential_type);

CREATE INDEX records_2_by_expiry ON records_2 (expires_on) WHERE expires_on IS NOT NULL;

-- One row: the revision of the whole store, drawn anew by every commit that changes anything.
CREATE TABLE store_2 (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision BLOB NOT NULL CHECK (length(revision) = 16)
);

INSERT INTO store_2 (id, revision) VALUES (1, zeroblob(16));

-- What a node keeps. Ids and addresses are raw bytes, times Unix seconds, records CBOR.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

-- The market's events, as far as this node has read them. A reorganisation deletes those above the fork.
CREATE TABLE events (
    block       BIGINT  NOT NULL,
    idx         BIGINT  NOT NULL,
    block_hash  BLOB    NOT NULL,
    time        BIGINT  NOT NULL,
    job         BLOB,
    announcement BOOLEAN NOT NULL,
    event       BLOB    NOT NULL,
    PRIMARY KEY (block, idx)
);
CREATE INDEX events_by_job ON events (job, block, idx);
CREATE INDEX announcements ON events (announcement, block, idx);

-- One record a job: the fold of its events and what this node found out itself.
CREATE TABLE jobs (
    id       BLOB    PRIMARY KEY,
    status   BIGINT  NOT NULL,
    client   BLOB    NOT NULL,
    provider BLOB    NOT NULL,
    opened   BIGINT  NOT NULL,
    updated  BIGINT  NOT NULL,
    mine     BOOLEAN NOT NULL,
    live     BOOLEAN NOT NULL,
    record   BLOB    NOT NULL
);
CREATE INDEX jobs_by_age ON jobs (opened, id);
CREATE INDEX my_jobs_by_age ON jobs (mine, opened, id);
CREATE INDEX jobs_by_status ON jobs (status, opened, id);
CREATE INDEX live_jobs ON jobs (live);

-- Names that make requests idempotent.
CREATE TABLE requests (
    key TEXT PRIMARY KEY,
    job BLOB NOT NULL
);

-- What the transport to a chain must remember: transactions by nonce, each with its signed versions.
CREATE TABLE sendings (
    chain   BIGINT  NOT NULL,
    account BLOB    NOT NULL,
    nonce   BIGINT  NOT NULL,
    key     TEXT    NOT NULL,
    live    BOOLEAN NOT NULL,
    record  BLOB    NOT NULL,
    PRIMARY KEY (chain, account, nonce)
);
-- A key belongs to one transaction that is pending or landed.
CREATE UNIQUE INDEX live_sendings ON sendings (chain, account, key) WHERE live;

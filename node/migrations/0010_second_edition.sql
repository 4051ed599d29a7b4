-- What a node keeps. Ids and addresses are raw bytes, times Unix seconds, records CBOR.
-- Databases that earlier steps made are of the contract's first edition, and are refused.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

-- The market's events, as far as this node has read them. A reorganisation deletes those above the fork. They lie in the table in
-- their order, and only those are indexed that are looked for by it: a new node stores the whole log of a market, most of which it
-- never looks at.
CREATE TABLE events (
    block        BIGINT  NOT NULL,
    idx          BIGINT  NOT NULL,
    block_hash   BLOB    NOT NULL,
    time         BIGINT  NOT NULL,
    job          BLOB,
    announcement BOOLEAN NOT NULL,
    event        BLOB    NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;
CREATE INDEX events_by_job ON events (job, block, idx) WHERE job IS NOT NULL;
CREATE INDEX announcements ON events (block, idx) WHERE announcement;

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
    failed   BOOLEAN NOT NULL,
    record   BLOB    NOT NULL
);
CREATE INDEX jobs_by_age ON jobs (opened, id);
CREATE INDEX my_jobs_by_age ON jobs (mine, opened, id);
CREATE INDEX jobs_by_status ON jobs (status, opened, id);
CREATE INDEX my_jobs_by_status ON jobs (mine, status, opened, id) WHERE mine = TRUE;
CREATE INDEX live_jobs ON jobs (live);
CREATE INDEX failed_jobs ON jobs (failed, opened, id) WHERE failed = TRUE;

-- The labels of jobs, with the place of the job in a list.
CREATE TABLE labels (
    job    BLOB   NOT NULL,
    name   TEXT   NOT NULL,
    value  TEXT   NOT NULL,
    opened BIGINT NOT NULL,
    PRIMARY KEY (job, name)
) WITHOUT ROWID;
CREATE INDEX jobs_by_label ON labels (name, opened, job);
CREATE INDEX jobs_by_label_value ON labels (name, value, opened, job);

-- Names that make requests idempotent, with a digest of what was requested.
CREATE TABLE requests (
    key  TEXT PRIMARY KEY,
    job  BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX requests_by_job ON requests (job);

-- The numbers of the lane of salts that this node's orders take, and whose they are.
CREATE TABLE salts (
    number BIGINT PRIMARY KEY,
    job    BLOB   NOT NULL
);
CREATE INDEX salts_by_job ON salts (job);

-- Specs that were published on the market apart from jobs, by their sha2-256 digest; the place is that of the latest event.
CREATE TABLE published_specs (
    digest BLOB   PRIMARY KEY,
    block  BIGINT NOT NULL,
    idx    BIGINT NOT NULL,
    data   BLOB   NOT NULL
);
CREATE INDEX published_specs_by_age ON published_specs (block, idx);

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

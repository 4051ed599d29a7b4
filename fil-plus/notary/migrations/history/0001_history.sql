-- What the market's events tell of who deals with whom. Amounts are 16 big-endian bytes, so that they are compared as numbers.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Events that a reorganisation may still undo, in their order.
CREATE TABLE pending (
    block    BIGINT NOT NULL,
    position BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    event    BLOB   NOT NULL,
    PRIMARY KEY (block, position)
) WITHOUT ROWID;

-- Deals that run, as far as their end needs them.
CREATE TABLE deals (
    job    BLOB PRIMARY KEY,
    client BLOB NOT NULL,
    spec   BLOB NOT NULL,
    -- Of deals whose record the market keeps: the terms, the submitted result.
    terms  BLOB,
    result BLOB
) WITHOUT ROWID;

-- What specs say, by their digests: an event that has one, whenever it was, tells it to all jobs that name it.
CREATE TABLE specs (
    digest BLOB PRIMARY KEY,
    bytes  BLOB NOT NULL
);

-- Jobs that were settled and whose record the market keeps: those that can be nominated.
CREATE TABLE settled (
    job        BLOB PRIMARY KEY,
    client     BLOB   NOT NULL,
    provider   BLOB   NOT NULL,
    price      BLOB   NOT NULL,
    settled_at BIGINT NOT NULL,
    spec       BLOB   NOT NULL,
    output     BLOB   NOT NULL,
    terms      BLOB   NOT NULL,
    result     BLOB   NOT NULL,
    -- In the order in which they were settled.
    number     BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX settled_by_number ON settled (number);
CREATE INDEX settled_by_output ON settled (output, number);
CREATE INDEX settled_by_spec ON settled (spec, number);

CREATE TABLE pairs (
    client   BLOB   NOT NULL,
    provider BLOB   NOT NULL,
    jobs     BIGINT NOT NULL,
    volume   BLOB   NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    PRIMARY KEY (client, provider)
) WITHOUT ROWID;

-- What one party gave to another: prices, deposits for others, withdrawals to others.
CREATE TABLE flows (
    giver  BLOB NOT NULL,
    taker  BLOB NOT NULL,
    amount BLOB NOT NULL,
    PRIMARY KEY (giver, taker)
) WITHOUT ROWID;
CREATE INDEX flows_by_amount ON flows (giver, amount DESC);

CREATE TABLE parties (
    party   BLOB PRIMARY KEY,
    since   BIGINT,
    settled BIGINT NOT NULL,
    slashed BIGINT NOT NULL
) WITHOUT ROWID;

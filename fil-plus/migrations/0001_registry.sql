-- Who says things: chain nodes, indexes, lists. A chain's genesis tells it from others and gives its epochs their times.
CREATE TABLE origins (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    genesis TEXT,
    genesis_time INTEGER
) STRICT;

-- How they are asked, and how far that is. A chain node may be asked in several ways.
CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    origin INTEGER NOT NULL REFERENCES origins (number),
    -- What the source goes on from; only it knows what that means.
    cursor TEXT,
    -- Up to which epoch, and of which Unix time, what it said is.
    epoch INTEGER,
    as_of INTEGER,
    -- The epoch at which everything was read last; none: it never was.
    complete INTEGER,
    -- After how many seconds its word is old.
    stale_after INTEGER NOT NULL,
    -- What was not believed, and an example.
    refused INTEGER NOT NULL DEFAULT 0,
    refusal TEXT,
    problem TEXT,
    problem_since INTEGER
) STRICT, WITHOUT ROWID;

-- What chains say. Numbers grow, so rows are appended.
CREATE TABLE claims (
    id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    term_max INTEGER NOT NULL,
    term_min INTEGER NOT NULL,
    start INTEGER NOT NULL,
    piece BLOB NOT NULL,
    provider INTEGER NOT NULL,
    client INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sector INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (id, kind, origin)
) STRICT, WITHOUT ROWID;

-- Eight bytes of a hash tell ten million pieces apart, in half the space of all 32.
CREATE INDEX claims_by_piece ON claims (substr(piece, 1, 8));

-- Up to when all claims of a provider (allocations of a client) were read. A claim that is older was not among them any more.
CREATE TABLE snapshots (
    origin INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    party INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (origin, kind, party)
) STRICT, WITHOUT ROWID;

-- What indexes say: this payload is in that piece.
CREATE TABLE payloads (
    payload BLOB NOT NULL,
    piece BLOB NOT NULL,
    source TEXT NOT NULL,
    peer TEXT NOT NULL,
    verified_deal INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (payload, piece, source, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX payloads_by_piece ON payloads (piece);

-- When an index was asked about a payload.
CREATE TABLE questions (
    payload BLOB NOT NULL,
    source TEXT NOT NULL,
    asked INTEGER NOT NULL,
    found INTEGER NOT NULL,
    PRIMARY KEY (payload, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX questions_by_age ON questions (asked);

-- What lists name.
CREATE TABLE listed (
    subject BLOB NOT NULL,
    source TEXT NOT NULL,
    list TEXT NOT NULL,
    issued INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (subject, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_by_source ON listed (source);

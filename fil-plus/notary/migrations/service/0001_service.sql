-- What a notary's service did, and what it keeps of the blessing's log. Amounts are 32 big-endian bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- What the blessing said, in its order. Those above the block that is final may be undone: then they are deleted.
CREATE TABLE events (
    block            BIGINT NOT NULL,
    position         BIGINT NOT NULL,
    time             BIGINT NOT NULL,
    transaction_hash BLOB   NOT NULL,
    -- NULL: it is about the notaries, or a granter.
    job              BLOB,
    event            BLOB   NOT NULL,
    PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE INDEX events_by_job ON events (job, block, position);

-- Jobs that were settled and can be nominated, and those that the blessing spoke of.
CREATE TABLE jobs (
    job           BLOB PRIMARY KEY,
    -- NULL until the market's history knows it.
    settled_at    BIGINT,
    -- Whether somebody's decision is missing.
    open          BOOLEAN NOT NULL DEFAULT TRUE,
    risk          BIGINT  NOT NULL DEFAULT 1,
    worries       TEXT    NOT NULL DEFAULT '',
    gathered      BLOB,
    attempts      BIGINT  NOT NULL DEFAULT 0,
    -- When gathering goes on; NULL: there is nothing more to know.
    gather_at     BIGINT,
    not_nominated TEXT,
    -- When it is considered for a nomination (again); NULL: it is not.
    nominate_at   BIGINT,
    -- As far as it is final: the phase, and while it is blessed or granted what for.
    phase         BIGINT  NOT NULL DEFAULT 0,
    round         BIGINT  NOT NULL DEFAULT 0,
    blessed_at    BIGINT,
    granter       BLOB,
    client        BLOB,
    provider      BLOB,
    amount        BLOB
) WITHOUT ROWID;
CREATE INDEX jobs_to_decide ON jobs (risk DESC, settled_at, job) WHERE open AND settled_at IS NOT NULL;
CREATE INDEX jobs_decided ON jobs (settled_at DESC, job) WHERE NOT open AND settled_at IS NOT NULL;
CREATE INDEX jobs_to_gather ON jobs (gather_at) WHERE gather_at IS NOT NULL;
CREATE INDEX jobs_to_nominate ON jobs (nominate_at) WHERE nominate_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (phase) WHERE phase IN (1, 2);
CREATE INDEX jobs_blessed ON jobs (granter, blessed_at) WHERE blessed_at IS NOT NULL;

-- What this service nominated.
CREATE TABLE nominations (
    job   BLOB   NOT NULL,
    round BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (job, round)
) WITHOUT ROWID;
CREATE INDEX nominations_by_time ON nominations (at);

-- Votes that notaries signed, until the chain has them for good.
CREATE TABLE votes (
    job       BLOB   NOT NULL,
    round     BIGINT NOT NULL,
    notary    BLOB   NOT NULL,
    -- A notary has one vote on the nomination and one on its revocation.
    revokes   BOOLEAN NOT NULL,
    choice    BIGINT NOT NULL,
    version   BIGINT NOT NULL,
    reasons   BLOB   NOT NULL,
    signature BLOB   NOT NULL,
    at        BIGINT NOT NULL,
    -- 0: held, 1: to be sent, 2: refused, 3: in a block for good.
    state     BIGINT NOT NULL,
    why       TEXT,
    PRIMARY KEY (job, round, notary, revokes)
) WITHOUT ROWID;
CREATE INDEX votes_to_send ON votes (state) WHERE state IN (0, 1);

CREATE TABLE reasons (
    digest BLOB PRIMARY KEY,
    text   TEXT NOT NULL
) WITHOUT ROWID;

-- Entries of the audit log that are not known to be in its file, by the number that they have there.
CREATE TABLE audit (
    number  BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    details BLOB   NOT NULL
) WITHOUT ROWID;

-- Alerts that were not delivered yet.
CREATE TABLE outbox (
    id          TEXT   NOT NULL,
    destination TEXT   NOT NULL,
    alert       BLOB   NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    -- NULL: given up.
    send_at     BIGINT,
    problem     TEXT,
    PRIMARY KEY (id, destination)
) WITHOUT ROWID;
CREATE INDEX outbox_to_send ON outbox (send_at) WHERE send_at IS NOT NULL;

CREATE TABLE attestations (
    job      BLOB   NOT NULL,
    round    BIGINT NOT NULL,
    decision TEXT   NOT NULL,
    envelope BLOB   NOT NULL,
    PRIMARY KEY (job, round, decision)
) WITHOUT ROWID;

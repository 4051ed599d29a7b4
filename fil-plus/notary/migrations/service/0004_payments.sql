-- What grants left to be paid by somebody's call, by the granter's own word: a job is granted once.
CREATE TABLE payments (
    job              BLOB PRIMARY KEY,
    granter          BLOB   NOT NULL,
    -- 0: to be looked at, 1: due, 2: in a batch, 3: paid for good, 4: lost for good, 5: there is nothing to pay.
    state            BIGINT NOT NULL DEFAULT 0,
    rail             BLOB,
    amount           BLOB,
    -- When it is tried (again), how often that failed, and why.
    try_at           BIGINT NOT NULL DEFAULT 0,
    failures         BIGINT NOT NULL DEFAULT 0,
    why              TEXT,
    -- Which of this service's own transactions pays it; its number is that of the key under which it is sent.
    batch            BIGINT,
    -- Where it was paid, as far as that is known.
    paid_at          BIGINT,
    transaction_hash BLOB
) WITHOUT ROWID;
CREATE INDEX payments_open ON payments (state) WHERE state IN (0, 1, 2);

-- 3: granted.
INSERT INTO payments (job, granter) SELECT job, granter FROM jobs WHERE phase = 3 AND granter IS NOT NULL;

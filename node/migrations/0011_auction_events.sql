-- The events of the auction beside the market that are about jobs, as far as this node has read them; otherwise as `events`, in whose
-- order they have their places.

CREATE TABLE auction_events (
    block      BIGINT NOT NULL,
    idx        BIGINT NOT NULL,
    block_hash BLOB   NOT NULL,
    time       BIGINT NOT NULL,
    job        BLOB   NOT NULL,
    event      BLOB   NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;
CREATE INDEX auction_events_by_job ON auction_events (job, block, idx);

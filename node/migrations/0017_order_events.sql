-- The events of the FilecoinPayDeals beside the market that are about jobs; otherwise as `auction_events`. That an order was opened is
-- said before its job is.

CREATE TABLE order_events (
    block      BIGINT NOT NULL,
    idx        BIGINT NOT NULL,
    block_hash BLOB   NOT NULL,
    time       BIGINT NOT NULL,
    job        BLOB   NOT NULL,
    event      BLOB   NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;
CREATE INDEX order_events_by_job ON order_events (job, block, idx);

-- The rails of a FilecoinPayDeals on which this node's party is paid, or pays: where it heard of each first, what it forgot of the
-- events about it (`base`) and what all of them add up to (`book`), and whether something is due to the party there.

CREATE TABLE rails (
    rail  BLOB    NOT NULL PRIMARY KEY,
    payer BLOB    NOT NULL,
    mine  BOOLEAN NOT NULL,
    block BIGINT  NOT NULL,
    idx   BIGINT  NOT NULL,
    base  BLOB    NOT NULL,
    book  BLOB    NOT NULL,
    due   BOOLEAN NOT NULL
) WITHOUT ROWID;
CREATE INDEX due_rails ON rails (rail) WHERE due;

-- The events about them; otherwise as `order_events`.

CREATE TABLE rail_events (
    block      BIGINT  NOT NULL,
    idx        BIGINT  NOT NULL,
    block_hash BLOB    NOT NULL,
    time       BIGINT  NOT NULL,
    rail       BLOB    NOT NULL,
    job        BLOB,
    payment    BOOLEAN NOT NULL,
    event      BLOB    NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;
CREATE INDEX rail_events_by_rail ON rail_events (rail, block, idx);
CREATE INDEX rail_events_by_job ON rail_events (job) WHERE job IS NOT NULL;

-- Events lie in the table in their order, and only those are indexed that are looked for by it: a new node stores the whole log
-- of a market, most of which it never looks at.

DROP INDEX events_by_job;
DROP INDEX announcements;
ALTER TABLE events RENAME TO events_before;
CREATE TABLE events (
    block       BIGINT  NOT NULL,
    idx         BIGINT  NOT NULL,
    block_hash  BLOB    NOT NULL,
    time        BIGINT  NOT NULL,
    job         BLOB,
    announcement BOOLEAN NOT NULL,
    event       BLOB    NOT NULL,
    PRIMARY KEY (block, idx)
) WITHOUT ROWID;
INSERT INTO events SELECT block, idx, block_hash, time, job, announcement, event FROM events_before;
DROP TABLE events_before;
CREATE INDEX events_by_job ON events (job, block, idx) WHERE job IS NOT NULL;
CREATE INDEX announcements ON events (block, idx) WHERE announcement;

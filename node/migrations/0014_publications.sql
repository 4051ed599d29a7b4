-- Where the outputs of jobs are, or are to be, beside the node's own gateway. Rows are written before anybody is asked, so that a
-- process that takes over goes on; `due` is in Unix seconds.

CREATE TABLE publications (
    job       BLOB   NOT NULL,
    publisher TEXT   NOT NULL,
    cid       BLOB   NOT NULL,
    state     TEXT   NOT NULL,
    receipt   TEXT,
    reason    TEXT,
    attempts  BIGINT NOT NULL,
    due       BIGINT NOT NULL,
    PRIMARY KEY (job, publisher)
) WITHOUT ROWID;
CREATE INDEX publications_by_due ON publications (publisher, due) WHERE state IN ('queued', 'pinning', 'withdrawing');
CREATE INDEX publications_by_content ON publications (publisher, cid);

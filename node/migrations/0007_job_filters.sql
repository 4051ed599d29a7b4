-- What lists of jobs are filtered by. Of jobs that an earlier version stored it is unknown (NULL) whether they failed, and their
-- labels are missing; the store fills that in when it is opened.

ALTER TABLE jobs ADD COLUMN failed BOOLEAN;
CREATE INDEX failed_jobs ON jobs (failed, opened, id) WHERE failed = TRUE;
CREATE INDEX my_jobs_by_status ON jobs (mine, status, opened, id) WHERE mine = TRUE;
CREATE INDEX jobs_to_complete ON jobs (id) WHERE failed IS NULL;

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

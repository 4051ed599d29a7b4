-- Jobs that go when the database has grown to its limit, in their order: those that are over first.
CREATE INDEX jobs_to_let_go ON jobs (open, settled_at, job) WHERE phase = 0;

-- Where jobs stand, with what may still be undone: what a page of the queue shows is chosen by it. NULL: it is to be found out.
ALTER TABLE jobs ADD COLUMN stands BIGINT DEFAULT 0;
ALTER TABLE jobs ADD COLUMN stands_in_round BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN revoke_until BIGINT;
-- Who voted in this round, as far as it counts: accounts in hex.
ALTER TABLE jobs ADD COLUMN voters TEXT NOT NULL DEFAULT '';
-- The job, its client and its provider in hex, to be searched. Those of jobs that are here are taken over once more.
ALTER TABLE jobs ADD COLUMN parties TEXT NOT NULL DEFAULT '';
UPDATE jobs SET stands = NULL WHERE job IN (SELECT job FROM events);
DELETE FROM meta WHERE key = 'imported';
CREATE INDEX jobs_to_place ON jobs (job) WHERE stands IS NULL;
-- The pages of the queue and their counts are read from an index, not past what was gathered of each job.
DROP INDEX jobs_to_decide;
CREATE INDEX jobs_to_decide ON jobs
    (risk DESC, settled_at, job, open, stands, attempts, revoke_until, stands_in_round, voters, parties)
    WHERE open AND settled_at IS NOT NULL;

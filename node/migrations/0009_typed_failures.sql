-- Records hold failures with their evidence, where earlier versions held a text. Those of the old form are rewritten when the store
-- is opened.
ALTER TABLE jobs ADD COLUMN form BIGINT NOT NULL DEFAULT 1;
CREATE INDEX jobs_of_old_form ON jobs (id) WHERE form = 1;

-- How often a publisher gave up since the output was last there, and how often it was looked at since its receipt changed. What is
-- pinned is looked at again, and what failed is tried again, when it is due.

ALTER TABLE publications ADD COLUMN given_up BIGINT NOT NULL DEFAULT 0;
ALTER TABLE publications ADD COLUMN looks BIGINT NOT NULL DEFAULT 0;
-- Without a receipt there is nothing to look at.
UPDATE publications SET due = 9223372036854775807 WHERE state = 'pinned' AND receipt IS NULL;
CREATE INDEX publications_due_again ON publications (publisher, due) WHERE state IN ('pinned', 'failed');

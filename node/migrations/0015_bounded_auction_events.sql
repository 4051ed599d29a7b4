-- Of the auction's events so many are kept for each job, and none of jobs that are not kept. What others bid when they opened their bids
-- stands beside the event, as 16 bytes, highest first: of very many the dearest go.

ALTER TABLE auction_events ADD COLUMN price BLOB;
DELETE FROM auction_events WHERE job NOT IN (SELECT id FROM jobs);

-- What a key was used for: a digest of the request. NULL: it was used before this was kept.
ALTER TABLE requests ADD COLUMN body BLOB;
CREATE INDEX requests_by_job ON requests (job);

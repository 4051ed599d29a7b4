-- So that what is oldest can go when the database has grown to its limit: when a deal was opened and a gateway announced, in Unix seconds
-- (0: before this was kept), and which deals name a spec.
ALTER TABLE deals ADD COLUMN opened BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateways ADD COLUMN announced BIGINT NOT NULL DEFAULT 0;
CREATE INDEX deals_by_spec ON deals (spec);

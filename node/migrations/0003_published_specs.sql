-- Specs that were published on the market apart from jobs, by their sha2-256 digest; the place is that of the latest event.
CREATE TABLE published_specs (
    digest BLOB   PRIMARY KEY,
    block  BIGINT NOT NULL,
    idx    BIGINT NOT NULL,
    data   BLOB   NOT NULL
);
CREATE INDEX published_specs_by_age ON published_specs (block, idx);

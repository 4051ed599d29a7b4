-- Votes that their notary replaced by another before they were sent: whoever has one of them may bring it again.
CREATE TABLE replaced_votes (
    job     BLOB   NOT NULL,
    round   BIGINT NOT NULL,
    notary  BLOB   NOT NULL,
    choice  BIGINT NOT NULL,
    version BIGINT NOT NULL,
    reasons BLOB   NOT NULL,
    PRIMARY KEY (job, round, notary, choice, version, reasons)
) WITHOUT ROWID;

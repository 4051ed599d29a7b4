-- Where each party says that it serves content: the URL that it announced last.
CREATE TABLE gateways (
    party BLOB PRIMARY KEY,
    url   TEXT NOT NULL
) WITHOUT ROWID;

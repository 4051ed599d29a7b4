-- Answers of other notaries that were noted and told of, each by the name of the request that it answers.
CREATE TABLE answers (
    request BLOB PRIMARY KEY
) WITHOUT ROWID;

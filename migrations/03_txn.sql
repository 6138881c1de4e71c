-- Transactions in flight (docs/format/snapshot.md section 6.1): never exported, but looked at, since a live intent
-- whose transaction has committed is data that the dump lacks.

CREATE TABLE txn_intent (
    row_key  BLOB NOT NULL PRIMARY KEY,
    start_ts ANY NOT NULL,                  -- HLC
    deletes  INTEGER NOT NULL,              -- 1: the row is to be deleted, 0: to be written
    source   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE txn_lock (
    row_key     BLOB NOT NULL PRIMARY KEY,
    start_ts    ANY NOT NULL,
    primary_key BLOB NOT NULL,              -- row key whose group knows the outcome
    source      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE txn_commit (
    primary_key BLOB NOT NULL,
    start_ts    ANY NOT NULL,
    commit_ts   ANY NOT NULL,
    source      INTEGER NOT NULL,
    PRIMARY KEY (primary_key, start_ts)
) STRICT, WITHOUT ROWID;

CREATE VIEW txn_pending AS
SELECT i.row_key, i.start_ts, i.deletes, l.primary_key, c.commit_ts, i.source
FROM txn_intent i
LEFT JOIN txn_lock l ON l.row_key = i.row_key
LEFT JOIN txn_commit c ON c.primary_key = l.primary_key AND c.start_ts = i.start_ts;

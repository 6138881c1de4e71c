-- What was read: the snapshots, every row of them counted, and what could not be taken as it is.
-- HLC timestamps and other unsigned 64-bit numbers are INTEGER up to 9223372036854775807 and text of 20 digits
-- above, which SQLite sorts after every integer.

CREATE TABLE run (
    name  TEXT NOT NULL PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE source (
    id               INTEGER PRIMARY KEY,   -- 0, 1, … in the order of reading
    path             TEXT NOT NULL,         -- as given; '-' is standard input
    absolute_path    BLOB,                  -- NULL for standard input
    snapshot_index   ANY,                   -- Raft index, from the file name
    header           TEXT,                  -- EKVTHLC1, EKVTHLC2 or NULL
    ceiling_ms       ANY,                   -- wall-clock ceiling of the header, Unix ms
    cutover_index    ANY,                   -- Raft envelope cutover of an EKVTHLC2 header
    body             TEXT NOT NULL,         -- EKVPBBL1, EKVMVCC2, EKVSSTI1 or empty
    last_commit_ts   ANY NOT NULL,          -- HLC, 0 in an empty state
    min_retained_ts  ANY,                   -- HLC, 0 if the file does not say; NULL until read to the end
    applied_index    ANY,                   -- from the row _meta_applied_index
    oversize_keys    INTEGER,               -- raw keys that the node's own restore would refuse
    crc32c           INTEGER,               -- the verified footer, NULL without one
    bytes            INTEGER,               -- length of the file
    tables           INTEGER,               -- SSTables of an EKVSSTI1 body; NULL otherwise, like the next three
    table_bytes      INTEGER,               -- their length in all
    raw_blocks       INTEGER,               -- their data blocks that are stored as they are
    snappy_blocks    INTEGER,               -- their data blocks that are compressed
    modified_ns      INTEGER,               -- modification time, Unix ns, NULL for standard input
    fingerprint      BLOB,                  -- SHA-256 of its first and last 64 KiB, NULL for standard input
    complete         INTEGER NOT NULL       -- 1 once read to the end and found right
) STRICT;

-- Every row read, old versions and tombstones included, under exactly one class and verdict.
CREATE TABLE row_count (
    source  INTEGER NOT NULL REFERENCES source (id),
    class   TEXT NOT NULL,
    verdict TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    PRIMARY KEY (source, class, verdict)
) STRICT, WITHOUT ROWID;

-- Every versioned row by the state of its value.
CREATE TABLE row_state_count (
    source INTEGER NOT NULL REFERENCES source,
    state  TEXT NOT NULL,                   -- clear, tombstone or encrypted
    key_id INTEGER NOT NULL,                -- of the key that encrypts it, 0 for none
    rows   INTEGER NOT NULL,
    PRIMARY KEY (source, state, key_id)
) STRICT, WITHOUT ROWID;

-- Where the reading of a source stood when its rows so far were committed.
CREATE TABLE checkpoint (
    source          INTEGER PRIMARY KEY REFERENCES source (id),
    byte_offset     INTEGER NOT NULL,       -- of the next row, or of the block it is in
    crc32c          INTEGER NOT NULL,       -- of the bytes before it, or before the SSTable it is in
    sst             TEXT NOT NULL,          -- JSON: of an EKVSSTI1 body, the table in progress
    last_key        BLOB NOT NULL,          -- raw key of the row before it
    open_keys       TEXT NOT NULL,          -- JSON: [[length of a user key, decided?], …], prefixes of last_key
    oversize_keys   INTEGER NOT NULL,
    payloads        INTEGER NOT NULL,       -- large payloads that have streamed past
    unlisted_keys   TEXT NOT NULL,          -- JSON: key ids that writers have used and the sidecar lacks
    min_retained_ts ANY,
    applied_index   ANY
) STRICT;

CREATE TABLE warning (
    kind  TEXT NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The first few of a kind, in readable form.
CREATE TABLE warning_sample (
    kind    TEXT NOT NULL REFERENCES warning (kind),
    ordinal INTEGER NOT NULL,
    sample  TEXT NOT NULL,
    PRIMARY KEY (kind, ordinal)
) STRICT, WITHOUT ROWID;

-- Malformed rows, with --on-error quarantine.
CREATE TABLE quarantine (
    id        INTEGER PRIMARY KEY,
    source    INTEGER NOT NULL REFERENCES source (id),
    class     TEXT NOT NULL,
    byte_offset INTEGER NOT NULL,         -- of the row in its file
    raw_key   BLOB NOT NULL,
    raw_value ANY NOT NULL,                 -- INTEGER: the payload is this large_value
    rule      TEXT NOT NULL
) STRICT;

-- Values too long to be copied: where a column that usually holds a text or a blob holds an INTEGER, it is one
-- of these.
CREATE TABLE large_value (
    id       INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL REFERENCES source (id),
    payload  INTEGER,                       -- large_value_piece.payload, or NULL: the value lies in the file
    start    INTEGER NOT NULL,              -- first byte, in the file or in the payload
    length   INTEGER NOT NULL,
    envelope INTEGER                        -- envelope.start of the encrypted value that it is in, NULL: in clear
) STRICT;

-- Encrypted values that stay in the file. Whoever reads one needs the key, which is not here.
CREATE TABLE envelope (
    source          INTEGER NOT NULL REFERENCES source,
    start           INTEGER NOT NULL,       -- of the ciphertext in the file; the tag follows it
    length          INTEGER NOT NULL,       -- of the ciphertext and of the value
    class           TEXT NOT NULL,
    key_id          INTEGER NOT NULL,
    nonce           BLOB NOT NULL,
    associated_data BLOB NOT NULL,          -- what the tag covers, too; it ends with the raw key
    byte_offset     INTEGER NOT NULL,       -- of the row in its file
    PRIMARY KEY (source, start)
) STRICT, WITHOUT ROWID;

-- Bytes of payloads whose source cannot be read twice.
CREATE TABLE large_value_piece (
    source  INTEGER NOT NULL,
    payload INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    bytes   BLOB NOT NULL,
    PRIMARY KEY (source, payload, start)
) STRICT;

-- For people: what the rows of all sources were. Together they are all rows that were read.
CREATE VIEW row_classes AS
SELECT class, verdict, sum(rows) AS rows FROM row_count GROUP BY class, verdict;

-- For people: malformed rows with the key as the node knows it, as text where it is ASCII and as a blob literal where it
-- is not. In an EKVMVCC2 body the timestamp is no part of the key, elsewhere it is its last eight bytes.
CREATE VIEW quarantined_rows AS
SELECT
    iif(CAST(k.key AS TEXT) GLOB '*[^ -~]*' OR instr(k.key, x'00'), quote(k.key), CAST(k.key AS TEXT)) AS key,
    k.class, k.rule, s.path, k.byte_offset,
    iif(typeof(k.raw_value) = 'integer',
        (SELECT l.length FROM large_value l WHERE l.id = k.raw_value), length(k.raw_value)) AS value_bytes,
    hex(k.key) AS key_hex,
    k.id
FROM (
    SELECT q.*, iif(o.body = 'EKVMVCC2', q.raw_key, substr(q.raw_key, 1, length(q.raw_key) - 8)) AS key
    FROM quarantine q JOIN source o ON o.id = q.source
) k JOIN source s ON s.id = k.source;

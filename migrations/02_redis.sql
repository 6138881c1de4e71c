-- The Redis family. Keys, names and members are BLOB, so that their order is the order of their bytes;
-- *_is_text says that a key is UTF-8 without NUL. Values are TEXT where they are UTF-8 without NUL, BLOB where
-- they are not, and an INTEGER where they are a large_value.

CREATE TABLE redis_string (
    key          BLOB NOT NULL PRIMARY KEY,
    key_is_text  INTEGER NOT NULL,
    envelope     INTEGER NOT NULL,          -- 1: the expiry is the row's own, even if NULL
    expire_at_ms INTEGER,
    value        ANY NOT NULL,
    source       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_hll (
    key          BLOB NOT NULL PRIMARY KEY,
    key_is_text  INTEGER NOT NULL,
    envelope     INTEGER NOT NULL,
    expire_at_ms INTEGER,
    value        ANY NOT NULL,              -- the set blob
    source       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Strings of the oldest layout, whose row key is the user key itself.
CREATE TABLE redis_bare_string (
    key          BLOB NOT NULL PRIMARY KEY,
    key_is_text  INTEGER NOT NULL,
    envelope     INTEGER NOT NULL,
    expire_at_ms INTEGER,
    value        ANY NOT NULL,
    source       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_ttl (
    key          BLOB NOT NULL PRIMARY KEY,
    key_is_text  INTEGER NOT NULL,
    expire_at_ms INTEGER NOT NULL,
    source       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per key and collection type. Elements stand in the tables below under `id`; those of the one-blob
-- layout under `blob_id`.
CREATE TABLE redis_collection (
    id                INTEGER PRIMARY KEY,
    key               BLOB NOT NULL,
    key_is_text       INTEGER NOT NULL,
    type              TEXT NOT NULL,        -- hash, list, set, stream, zset
    elements          INTEGER NOT NULL DEFAULT 0,
    nan_scores        INTEGER NOT NULL DEFAULT 0,
    has_delta         INTEGER NOT NULL DEFAULT 0,
    meta_length       INTEGER,              -- NULL without a meta row
    meta_expire_at_ms INTEGER,              -- NULL in a short meta row, 0 for none in a long one
    list_head         INTEGER,
    list_tail         INTEGER,
    stream_last_ms     ANY,
    stream_last_seq    ANY,
    stream_trimmed_ms  ANY,                 -- NULL or 0: nothing was trimmed
    stream_trimmed_seq ANY,
    blob_id           INTEGER,
    blob_elements     INTEGER NOT NULL DEFAULT 0,
    blob_nan_scores   INTEGER NOT NULL DEFAULT 0,
    source            INTEGER NOT NULL,     -- of the first row seen
    UNIQUE (key, type)
) STRICT;

-- Unmerged changes of a collection's length.
CREATE TABLE redis_delta (
    collection   INTEGER NOT NULL,
    commit_ts    ANY NOT NULL,
    seq          INTEGER NOT NULL,
    length_delta INTEGER NOT NULL,
    head_delta   INTEGER,                   -- lists only
    source       INTEGER NOT NULL,
    PRIMARY KEY (collection, commit_ts, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_hash_field (
    collection INTEGER NOT NULL,
    name       BLOB NOT NULL,
    value      ANY NOT NULL,
    source     INTEGER NOT NULL,
    PRIMARY KEY (collection, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_set_member (
    collection INTEGER NOT NULL,
    member     BLOB NOT NULL,
    source     INTEGER NOT NULL,
    PRIMARY KEY (collection, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_zset_member (
    collection INTEGER NOT NULL,
    member     BLOB NOT NULL,
    score      ANY,                         -- REAL to the bit, -0.0 too; NULL is NaN
    source     INTEGER NOT NULL,
    PRIMARY KEY (collection, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_list_item (
    collection INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    item       ANY NOT NULL,
    source     INTEGER NOT NULL,
    PRIMARY KEY (collection, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_stream_entry (
    collection INTEGER NOT NULL,
    ms         ANY NOT NULL,
    seq        ANY NOT NULL,
    fields     ANY NOT NULL,                -- JSON as in the dump: [{"name":…,"value":…},…]
    source     INTEGER NOT NULL,
    PRIMARY KEY (collection, ms, seq)
) STRICT, WITHOUT ROWID;

-- Rows of a second type under one key: kept, reported, not exported.
CREATE TABLE redis_type_conflict (
    key     BLOB NOT NULL,
    type    TEXT NOT NULL,                  -- the type that is not exported
    winner  TEXT NOT NULL,                  -- the type that is
    PRIMARY KEY (key, type)
) STRICT, WITHOUT ROWID;

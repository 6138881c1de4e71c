-- The Redis family. Keys, names and members are BLOB, so that their order is the order of their bytes;
-- key_is_text says that one is UTF-8 without control characters. Values are TEXT where they are UTF-8 without NUL, BLOB where
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
    envelope     INTEGER NOT NULL,          -- 0: these have none
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
    collection   INTEGER NOT NULL,
    name         BLOB NOT NULL,
    value        ANY NOT NULL,
    source       INTEGER NOT NULL,
    PRIMARY KEY (collection, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_set_member (
    collection     INTEGER NOT NULL,
    member         BLOB NOT NULL,
    source         INTEGER NOT NULL,
    PRIMARY KEY (collection, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE redis_zset_member (
    collection     INTEGER NOT NULL,
    member         BLOB NOT NULL,
    score          ANY,                     -- REAL to the bit, -0.0 too; NULL is NaN
    source         INTEGER NOT NULL,
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

-- What can be said of a collection: where its contents stand, what it should hold and what it holds, when it
-- expires. Of several types under one key a client sees the one with the smallest rank, and any string, HyperLogLog
-- or bare string before those. Rows that make no collection (stream entries without meta) have a NULL rank.
CREATE VIEW redis_collection_state AS
SELECT
    c.id,
    c.key,
    c.key_is_text,
    c.type,
    CASE
        WHEN c.type = 'stream' THEN iif(c.meta_length IS NOT NULL, 11, iif(c.blob_id IS NOT NULL, 12, NULL))
        WHEN c.elements > 0 OR c.meta_length IS NOT NULL OR c.has_delta
            THEN CASE c.type WHEN 'list' THEN 4 WHEN 'hash' THEN 5 WHEN 'set' THEN 6 ELSE 7 END
        ELSE CASE c.type WHEN 'hash' THEN 8 WHEN 'set' THEN 9 ELSE 10 END
    END AS rank,
    CASE
        WHEN c.type = 'stream' THEN iif(c.meta_length IS NOT NULL, c.id, c.blob_id)
        ELSE iif(c.elements > 0 OR c.blob_id IS NULL, c.id, c.blob_id)
    END AS contents,
    CASE
        WHEN c.type = 'stream' AND c.meta_length IS NULL THEN c.blob_elements
        WHEN c.type = 'stream' AND (c.stream_trimmed_ms, c.stream_trimmed_seq) <> (0, 0) THEN (
            SELECT count(*) FROM redis_stream_entry e
            WHERE e.collection = c.id AND (e.ms, e.seq) > (c.stream_trimmed_ms, c.stream_trimmed_seq))
        WHEN c.type = 'stream' OR c.elements > 0 OR c.blob_id IS NULL THEN c.elements
        ELSE c.blob_elements
    END AS found,
    iif(c.elements > 0 OR c.blob_id IS NULL, c.nan_scores, c.blob_nan_scores) AS nan_scores,
    CASE
        WHEN NOT c.has_delta THEN c.meta_length
        -- Summed in halves of 32 bits, so that no sum of deltas, however hostile, overflows or is rounded.
        ELSE (
            SELECT CASE
                WHEN high + (low >> 32) < 0 THEN 0
                WHEN high + (low >> 32) > 2147483647 THEN 9223372036854775807
                ELSE ((high + (low >> 32)) << 32) + (low & 4294967295)
            END
            FROM (
                SELECT coalesce(c.meta_length >> 32, 0) + sum(d.length_delta >> 32) AS high,
                    coalesce(c.meta_length & 4294967295, 0) + sum(d.length_delta & 4294967295) AS low
                FROM redis_delta d WHERE d.collection = c.id))
    END AS declared,
    CASE
        WHEN c.meta_expire_at_ms IS NOT NULL THEN nullif(c.meta_expire_at_ms, 0)
        ELSE (SELECT t.expire_at_ms FROM redis_ttl t WHERE t.key = c.key)
    END AS expire_at_ms,
    c.elements,
    c.has_delta,
    c.meta_length,
    c.blob_id,
    c.stream_last_ms,
    c.stream_last_seq,
    c.stream_trimmed_ms,
    c.stream_trimmed_seq
FROM redis_collection c;

-- The keys of the dump. The expiry of a bare string is spelled like that of the others, although it has no envelope:
-- SQLite then reads both tables in the order of their keys, without sorting.
CREATE VIEW redis_exported_string AS
SELECT key, key_is_text, value,
    iif(envelope, expire_at_ms, (SELECT t.expire_at_ms FROM redis_ttl t WHERE t.key = s.key)) AS expire_at_ms
FROM redis_string s
UNION ALL
SELECT key, key_is_text, value,
    iif(envelope, expire_at_ms, (SELECT t.expire_at_ms FROM redis_ttl t WHERE t.key = b.key))
FROM redis_bare_string b
WHERE NOT EXISTS (SELECT 1 FROM redis_type_conflict c WHERE c.key = b.key AND c.type = 'bare string');

CREATE VIEW redis_exported_hll AS
SELECT key, key_is_text, value,
    iif(envelope, expire_at_ms, (SELECT t.expire_at_ms FROM redis_ttl t WHERE t.key = h.key)) AS expire_at_ms
FROM redis_hll h
WHERE NOT EXISTS (SELECT 1 FROM redis_type_conflict c WHERE c.key = h.key AND c.type = 'hll');

-- Both conditions begin with what settles them for almost every row: the first one is that the rank is not NULL.
CREATE VIEW redis_exported_collection AS
SELECT * FROM redis_collection_state s
WHERE (meta_length IS NOT NULL OR blob_id IS NOT NULL OR type <> 'stream')
    AND (NOT EXISTS (SELECT 1 FROM redis_type_conflict)
        OR NOT EXISTS (SELECT 1 FROM redis_type_conflict c WHERE c.key = s.key AND c.type = s.type));

-- For people: every key of the dump, as text where it is text and as a blob literal where it is not; so are names
-- and members in the views below. `bytes` is what the values have in sum, with the names, members and eight bytes for
-- each score; of stream entries, what their JSON has. `key_order` is the key as it is: what an index finds keys by.
-- The plus sign makes a type no column, as the others are none: SQLite then reads the tables through the view.
CREATE VIEW redis_keys AS
SELECT
    iif(key_is_text, CAST(key AS TEXT), quote(key)) AS key,
    type,
    bytes,
    elements,
    declared,
    strftime('%Y-%m-%dT%H:%M:%fZ', expire_at_ms / 1000.0, 'unixepoch') AS expires,
    expire_at_ms,
    hex(key) AS key_hex,
    key AS key_order
FROM (
    SELECT key, key_is_text, 'string' AS type, NULL AS elements, NULL AS declared, expire_at_ms,
        iif(typeof(value) = 'integer', (SELECT l.length FROM large_value l WHERE l.id = value), length(CAST(value AS BLOB)))
            AS bytes
    FROM redis_exported_string
    UNION ALL
    SELECT key, key_is_text, 'hll', NULL, NULL, expire_at_ms,
        iif(typeof(value) = 'integer', (SELECT l.length FROM large_value l WHERE l.id = value), length(CAST(value AS BLOB)))
    FROM redis_exported_hll
    UNION ALL
    SELECT key, key_is_text, +type, +found, +declared, expire_at_ms,
        coalesce(CASE type
            WHEN 'hash' THEN (
                SELECT sum(length(f.name) + iif(typeof(f.value) = 'integer',
                    (SELECT l.length FROM large_value l WHERE l.id = f.value), length(CAST(f.value AS BLOB))))
                FROM redis_hash_field f WHERE f.collection = contents)
            WHEN 'list' THEN (
                SELECT sum(iif(typeof(i.item) = 'integer',
                    (SELECT l.length FROM large_value l WHERE l.id = i.item), length(CAST(i.item AS BLOB))))
                FROM redis_list_item i WHERE i.collection = contents)
            WHEN 'set' THEN (SELECT sum(length(m.member)) FROM redis_set_member m WHERE m.collection = contents)
            WHEN 'zset' THEN (SELECT sum(length(m.member) + 8) FROM redis_zset_member m WHERE m.collection = contents)
            ELSE (
                SELECT sum(iif(typeof(e.fields) = 'integer',
                    (SELECT l.length FROM large_value l WHERE l.id = e.fields), length(CAST(e.fields AS BLOB))))
                FROM redis_stream_entry e
                WHERE e.collection = contents AND (stream_trimmed_ms IS NULL
                    OR (stream_trimmed_ms, stream_trimmed_seq) = (0, 0)
                    OR (e.ms, e.seq) > (stream_trimmed_ms, stream_trimmed_seq)))
        END, 0)
    FROM redis_exported_collection
);

CREATE VIEW ttl AS
SELECT key, type, expires, expire_at_ms, key_hex FROM redis_keys WHERE expire_at_ms IS NOT NULL;

-- Collections that hold more or fewer elements than their meta row and deltas say.
CREATE VIEW mismatches AS
SELECT iif(key_is_text, CAST(key AS TEXT), quote(key)) AS key, type, declared, found AS elements, hex(key) AS key_hex
FROM redis_exported_collection
WHERE declared <> found;

-- A value too long to be in the database is NULL in the views below; `bytes` is its length.
CREATE VIEW redis_strings AS
SELECT iif(key_is_text, CAST(key AS TEXT), quote(key)) AS key,
    iif(typeof(value) = 'integer', NULL, value) AS value,
    iif(typeof(value) = 'integer', (SELECT l.length FROM large_value l WHERE l.id = value), length(CAST(value AS BLOB)))
        AS bytes,
    hex(key) AS key_hex, key AS key_order
FROM redis_exported_string;

-- A flag for every name and member would cost a tenth of the load; here only ASCII is shown as text. The casts are
-- for builds of SQLite in which GLOB does not look into blobs.
CREATE VIEW redis_hash_fields AS
SELECT iif(s.key_is_text, CAST(s.key AS TEXT), quote(s.key)) AS key,
    iif(CAST(f.name AS TEXT) GLOB '*[^ -~]*' OR instr(f.name, x'00'), quote(f.name), CAST(f.name AS TEXT)) AS name,
    iif(typeof(f.value) = 'integer', NULL, f.value) AS value,
    iif(typeof(f.value) = 'integer',
        (SELECT l.length FROM large_value l WHERE l.id = f.value), length(CAST(f.value AS BLOB))) AS bytes,
    hex(f.name) AS name_hex, hex(s.key) AS key_hex, s.key AS key_order
FROM redis_exported_collection s JOIN redis_hash_field f ON f.collection = s.contents WHERE s.type = 'hash';

CREATE VIEW redis_set_members AS
SELECT iif(s.key_is_text, CAST(s.key AS TEXT), quote(s.key)) AS key,
    iif(CAST(m.member AS TEXT) GLOB '*[^ -~]*' OR instr(m.member, x'00'), quote(m.member), CAST(m.member AS TEXT)) AS member,
    hex(m.member) AS member_hex, hex(s.key) AS key_hex, s.key AS key_order
FROM redis_exported_collection s JOIN redis_set_member m ON m.collection = s.contents WHERE s.type = 'set';

CREATE VIEW redis_zset_members AS
SELECT iif(s.key_is_text, CAST(s.key AS TEXT), quote(s.key)) AS key,
    iif(CAST(m.member AS TEXT) GLOB '*[^ -~]*' OR instr(m.member, x'00'), quote(m.member), CAST(m.member AS TEXT)) AS member,
    m.score, hex(m.member) AS member_hex, hex(s.key) AS key_hex, s.key AS key_order
FROM redis_exported_collection s JOIN redis_zset_member m ON m.collection = s.contents WHERE s.type = 'zset';

CREATE VIEW redis_list_items AS
SELECT iif(s.key_is_text, CAST(s.key AS TEXT), quote(s.key)) AS key,
    i.seq,
    iif(typeof(i.item) = 'integer', NULL, i.item) AS item,
    iif(typeof(i.item) = 'integer',
        (SELECT l.length FROM large_value l WHERE l.id = i.item), length(CAST(i.item AS BLOB))) AS bytes,
    hex(s.key) AS key_hex, s.key AS key_order
FROM redis_exported_collection s JOIN redis_list_item i ON i.collection = s.contents WHERE s.type = 'list';

CREATE VIEW redis_stream_entries AS
SELECT iif(s.key_is_text, CAST(s.key AS TEXT), quote(s.key)) AS key,
    e.ms, e.seq,
    iif(typeof(e.fields) = 'integer', NULL, e.fields) AS fields,
    hex(s.key) AS key_hex, s.key AS key_order
FROM redis_exported_collection s JOIN redis_stream_entry e ON e.collection = s.contents
WHERE s.type = 'stream'
    AND (s.stream_trimmed_ms IS NULL OR (s.stream_trimmed_ms, s.stream_trimmed_seq) = (0, 0)
        OR (e.ms, e.seq) > (s.stream_trimmed_ms, s.stream_trimmed_seq));

-- The DynamoDB family (docs/format/dynamodb.md). Items come before the schema of their table, so every visible item
-- row is staged as it is; which of them are items that a client sees stands in dynamodb_item. Names and keys are BLOB
-- where their order is to be that of their bytes, otherwise TEXT, or BLOB where they hold a NUL.

-- The tables that rows speak of, whether they exist or not.
CREATE TABLE dynamodb_table_name (
    id         INTEGER PRIMARY KEY,
    segment    BLOB NOT NULL UNIQUE,        -- as in row keys: base64url of the name
    name       BLOB,                        -- NULL if the segment stands for none
    index_rows INTEGER NOT NULL DEFAULT 0   -- rows of secondary indexes: counted, not kept
) STRICT;

-- The tables that exist: one per visible, well-formed schema row.
CREATE TABLE dynamodb_table (
    id                        INTEGER PRIMARY KEY REFERENCES dynamodb_table_name (id),
    definition                TEXT NOT NULL,    -- JSON, as in _schema.json
    hash_key                  ANY NOT NULL,
    hash_type                 ANY,              -- as declared: any text; NULL if it is not
    range_key                 ANY,              -- NULL: hash-only
    range_type                ANY,
    generation                ANY NOT NULL,
    key_encoding_version      INTEGER NOT NULL,
    migrating_from_generation ANY NOT NULL,     -- 0: no migration is running
    value                     BLOB NOT NULL,    -- the schema as stored
    byte_offset               INTEGER NOT NULL,
    source                    INTEGER NOT NULL
) STRICT;

-- The last generation ever given to a name; it outlives the table.
CREATE TABLE dynamodb_generation_counter (
    table_id INTEGER PRIMARY KEY,
    counter  ANY,                           -- NULL if it cannot be read
    source   INTEGER NOT NULL
) STRICT;

-- Item rows per table and generation.
CREATE TABLE dynamodb_generation (
    table_id   INTEGER NOT NULL,
    generation ANY NOT NULL,
    rows       INTEGER NOT NULL,
    PRIMARY KEY (table_id, generation)
) STRICT, WITHOUT ROWID;

-- Every visible item row: items, and what an unfinished cleanup or migration has left.
CREATE TABLE dynamodb_item_row (
    table_id       INTEGER NOT NULL,
    generation     ANY NOT NULL,
    payload        BLOB NOT NULL,           -- the primary key, ordered or legacy
    value          ANY NOT NULL,            -- as stored; INTEGER: large_value
    item           TEXT,                    -- DynamoDB JSON; NULL if it is malformed, or longer than 512 KiB
    raw_key_suffix BLOB NOT NULL,           -- what follows the row key in the file: the complemented commit timestamp
    value_header   BLOB NOT NULL,           -- what precedes the value in the file: flags and expiry
    byte_offset    INTEGER NOT NULL,
    source         INTEGER NOT NULL,
    PRIMARY KEY (table_id, generation, payload)
) STRICT, WITHOUT ROWID;

-- The items that a client sees, in the order of the dump.
CREATE TABLE dynamodb_item (
    table_id      INTEGER NOT NULL,
    identity      BLOB NOT NULL,            -- ordered segments of the key attributes, or the row key of one without
    generation    ANY NOT NULL,             -- of its row
    payload       BLOB,                     -- of its row; NULL: the identity
    hash_type     TEXT NOT NULL,            -- S, N or B: the attribute's own
    hash          ANY,                      -- S and N as text, N as stored, B as blob; NULL if longer than 32 KiB
    hash_number   REAL,                     -- of an N, to compare with
    range_type    TEXT,
    range         ANY,
    range_number  REAL,
    unmigratable  INTEGER NOT NULL,         -- 1: a number that cannot be a key keeps the row from being migrated
    empty_set     INTEGER NOT NULL,         -- 1: it holds a set that a node cannot serve
    type_mismatch INTEGER NOT NULL,         -- 1: its file name is tagged, since a key attribute has another type than declared
    json_value    INTEGER NOT NULL,         -- 1: its value is the JSON of older nodes
    parts         INTEGER,                  -- container of the attributes of an item that is too long for one JSON text
    PRIMARY KEY (table_id, identity)
) STRICT, WITHOUT ROWID;

CREATE INDEX dynamodb_item_key ON dynamodb_item (table_id, hash, range);
CREATE INDEX dynamodb_item_legacy ON dynamodb_item (table_id, generation, payload) WHERE payload IS NOT NULL;

-- The attributes of items too long for one JSON text, and all that is in them: one row for each member of a map, element
-- of a list or set. A container is the item itself, or what a set, list or map holds.
CREATE TABLE dynamodb_part (
    container INTEGER NOT NULL,
    key       ANY NOT NULL,                 -- name of a member as blob, ordinal of an element
    type      TEXT,                         -- S, N, B, BOOL, NULL, SS, NS, BS, L, M; NULL: no value
    start     INTEGER NOT NULL,             -- of an S, N or B: first byte in the value of the row
    length    INTEGER NOT NULL,             -- of an S, N or B, in bytes; of BOOL and NULL 1 or 0
    elements  INTEGER NOT NULL,             -- container of the elements of a set, list or map
    PRIMARY KEY (container, key)
) STRICT, WITHOUT ROWID;

-- The rows of items that a client sees.
CREATE VIEW dynamodb_exported_item AS
SELECT i.*, r.value, r.item, r.raw_key_suffix, r.value_header, r.byte_offset, r.source,
    coalesce(i.payload, i.identity) AS row_payload
FROM dynamodb_item i
CROSS JOIN dynamodb_item_row r ON r.table_id = i.table_id AND r.generation = i.generation
    AND r.payload = coalesce(i.payload, i.identity);

-- For people. Names are text, where they are text, and a blob literal where they are not.
CREATE VIEW dynamodb_tables AS
SELECT
    iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)) AS table_name,
    t.hash_key, t.hash_type, t.range_key, t.range_type,
    (SELECT count(*) FROM dynamodb_item i WHERE i.table_id = t.id) AS items,
    n.index_rows, t.generation, t.key_encoding_version, t.migrating_from_generation, t.definition, t.id AS table_id
FROM dynamodb_table t JOIN dynamodb_table_name n ON n.id = t.id;

CREATE VIEW dynamodb_items AS
SELECT
    iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)) AS table_name,
    i.hash_type,
    iif(typeof(i.hash) = 'blob', quote(i.hash), i.hash) AS hash,
    i.range_type,
    iif(typeof(i.range) = 'blob', quote(i.range), i.range) AS range,
    i.item,
    iif(typeof(i.value) = 'integer', (SELECT v.length FROM large_value v WHERE v.id = i.value), length(i.value)) AS bytes
FROM dynamodb_exported_item i CROSS JOIN dynamodb_table_name n ON n.id = i.table_id;

CREATE VIEW dynamodb_attributes AS
SELECT i.table_name, i.hash, i.range, a.key AS attribute, v.key AS type, v.value
FROM dynamodb_items i, json_each(i.item) a, json_each(a.value) v;

-- Item rows that no client sees: 'orphan' without a table, 'stale' of another generation, 'duplicate' of an item.
CREATE VIEW dynamodb_other_rows AS
SELECT
    coalesce(iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)), CAST(n.segment AS TEXT)) AS table_name,
    CASE
        WHEN t.id IS NULL THEN 'orphan'
        WHEN r.generation = t.generation
            OR (t.key_encoding_version >= 2 AND t.migrating_from_generation <> 0
                AND r.generation = t.migrating_from_generation) THEN 'duplicate'
        ELSE 'stale'
    END AS state,
    r.generation, r.item, hex(r.payload) AS payload_hex
FROM dynamodb_item_row r
CROSS JOIN dynamodb_table_name n ON n.id = r.table_id
LEFT JOIN dynamodb_table t ON t.id = r.table_id
WHERE NOT EXISTS (
    SELECT 1 FROM dynamodb_item i
    WHERE i.table_id = r.table_id AND i.identity = r.payload AND i.generation = r.generation AND i.payload IS NULL)
AND NOT EXISTS (
    SELECT 1 FROM dynamodb_item i
    WHERE i.table_id = r.table_id AND i.payload = r.payload AND i.generation = r.generation);

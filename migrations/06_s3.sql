-- The S3 family. Names and keys are BLOB, so that their order is the order of their bytes; …_is_text says that one is
-- UTF-8 without control characters. Generations, versions and part numbers are unsigned 64-bit numbers as in 01. The
-- bytes of objects stay in the snapshot.

CREATE TABLE s3_bucket (
    id             INTEGER PRIMARY KEY,
    name           BLOB NOT NULL UNIQUE,
    name_is_text   INTEGER NOT NULL,
    refused        INTEGER NOT NULL,        -- 1: the name cannot be a folder
    generation     ANY NOT NULL,            -- the only one whose objects are there
    created_at_hlc ANY NOT NULL,            -- HLC, 0 if unknown
    owner          TEXT NOT NULL,           -- access key id, mostly empty
    region         TEXT NOT NULL,
    acl            TEXT NOT NULL,           -- private, public-read or empty
    source         INTEGER NOT NULL
) STRICT;

-- Manifests of every generation, as they stand in their rows: they are read once all buckets are known.
CREATE TABLE s3_head (
    bucket       BLOB NOT NULL,
    generation   ANY NOT NULL,
    object       BLOB NOT NULL,
    value        ANY NOT NULL,              -- JSON; INTEGER: large_value
    byte_offset  INTEGER NOT NULL,          -- of the row in its file
    key_suffix   BLOB NOT NULL,             -- what the raw key has beyond the row key
    value_header BLOB NOT NULL,             -- what the raw value has before the payload
    source       INTEGER NOT NULL,
    PRIMARY KEY (bucket, generation, object)
) STRICT, WITHOUT ROWID;

-- What chunks belong to: every upload of an object, in one piece or in parts, numbered as it first appears.
CREATE TABLE s3_upload (
    id         INTEGER PRIMARY KEY,
    bucket     BLOB NOT NULL,
    generation ANY NOT NULL,
    object     BLOB NOT NULL,
    upload_id  BLOB NOT NULL,
    UNIQUE (bucket, generation, object, upload_id)
) STRICT;

-- Multipart uploads that were begun and neither completed nor aborted, as far as this row tells.
CREATE TABLE s3_upload_meta (
    upload INTEGER PRIMARY KEY REFERENCES s3_upload (id),
    value  ANY NOT NULL,                    -- JSON; INTEGER: large_value
    source INTEGER NOT NULL
) STRICT;

CREATE TABLE s3_upload_part (
    upload INTEGER NOT NULL REFERENCES s3_upload (id),
    part   ANY NOT NULL,
    value  ANY NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (upload, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE s3_chunk (
    upload  INTEGER NOT NULL,
    part    ANY NOT NULL,
    chunk   ANY NOT NULL,                   -- from 0
    version ANY NOT NULL,                   -- 0 if the row key has none
    length  INTEGER NOT NULL,               -- bytes
    value   ANY,                            -- BLOB: the bytes; INTEGER: large_value; NULL: in the file at `start`
    start   INTEGER,
    source  INTEGER NOT NULL,
    PRIMARY KEY (upload, part, chunk, version)
) STRICT, WITHOUT ROWID;

-- Chunks whose bytes lie under their digest.
CREATE TABLE s3_chunk_ref (
    upload      INTEGER NOT NULL,
    part        ANY NOT NULL,
    chunk       ANY NOT NULL,
    version     ANY NOT NULL,
    digest      BLOB,                       -- SHA-256
    size        ANY,                        -- bytes
    source_peer ANY,                        -- node id
    replicas    TEXT,                       -- JSON: [{"node":…,"address":…},…]
    invalid     TEXT,                       -- why it cannot be read; then the others are NULL
    source      INTEGER NOT NULL,
    PRIMARY KEY (upload, part, chunk, version)
) STRICT, WITHOUT ROWID;

-- Every version of the bytes under a digest: any whose digest it is will do.
CREATE TABLE s3_chunk_blob (
    digest    BLOB NOT NULL,
    source    INTEGER NOT NULL,
    commit_ts ANY NOT NULL,
    length    INTEGER NOT NULL,
    value     ANY,                          -- as in s3_chunk
    start     INTEGER,
    is_whole  INTEGER,                      -- has it this digest? NULL: nobody has looked
    PRIMARY KEY (digest, source, commit_ts)
) STRICT, WITHOUT ROWID;

-- What follows is found once all rows are there. The objects that clients see:
CREATE TABLE s3_object (
    bucket              INTEGER NOT NULL REFERENCES s3_bucket (id),
    object              BLOB NOT NULL,
    object_is_text      INTEGER NOT NULL,
    stays               INTEGER NOT NULL,   -- at its natural path, but for a suffix: 2 always, 1 if renamed, 0 never
    upload              INTEGER NOT NULL REFERENCES s3_upload (id),
    etag                TEXT NOT NULL,
    size_bytes          INTEGER NOT NULL,
    last_modified_hlc   ANY NOT NULL,
    content_type        TEXT NOT NULL,      -- empty if not given, as the next three
    content_encoding    TEXT NOT NULL,
    cache_control       TEXT NOT NULL,
    content_disposition TEXT NOT NULL,
    user_metadata       TEXT,               -- JSON object, NULL if empty
    parts               INTEGER NOT NULL,
    damaged             INTEGER NOT NULL,   -- 1: something of it is missing or wrong, and it is not in the dump
    PRIMARY KEY (bucket, object)
) STRICT, WITHOUT ROWID;

-- The parts that manifests of objects name, in their order.
CREATE TABLE s3_part (
    upload            INTEGER NOT NULL,
    ordinal           INTEGER NOT NULL,
    part_no           ANY NOT NULL,
    etag              TEXT NOT NULL,
    size_bytes        INTEGER NOT NULL,
    chunk_count       ANY NOT NULL,         -- as the manifest says
    chunks            INTEGER NOT NULL,     -- as many sizes as it lists
    part_version      ANY NOT NULL,
    chunk_ref_version ANY NOT NULL,
    offloaded         INTEGER NOT NULL,     -- 1: reached through s3_chunk_ref
    PRIMARY KEY (upload, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX s3_part_by_number ON s3_part (upload, part_no);

CREATE TABLE s3_part_chunk (
    upload  INTEGER NOT NULL,
    part    INTEGER NOT NULL,               -- s3_part.ordinal
    chunk   INTEGER NOT NULL,               -- from 0
    size    ANY NOT NULL,                   -- bytes
    PRIMARY KEY (upload, part, chunk)
) STRICT, WITHOUT ROWID;

-- What is missing or wrong about objects.
CREATE TABLE s3_fault (
    upload  INTEGER NOT NULL,
    part_no ANY,                            -- NULL: the object as a whole
    chunk   INTEGER,                        -- NULL: the part as a whole
    kind    TEXT NOT NULL,                  -- of the warning
    detail  TEXT NOT NULL
) STRICT;

-- The chunks that objects consist of, each with its bytes or its reference, as far as they are there. The plus signs
-- keep the numbers from being compared by other rules than those of the index.
CREATE VIEW s3_selected_chunk AS
SELECT s.upload, s.part, s.chunk, s.size, p.offloaded,
    c.length, c.value, c.start, coalesce(c.source, r.source) AS source,
    r.digest, r.size AS ref_size, r.source_peer, r.replicas, r.invalid
FROM s3_part_chunk s
JOIN s3_part p ON p.upload = s.upload AND p.ordinal = s.part
LEFT JOIN s3_chunk c ON NOT p.offloaded
    AND c.upload = s.upload AND c.part = p.part_no AND c.chunk = +s.chunk AND c.version = p.part_version
LEFT JOIN s3_chunk_ref r ON p.offloaded
    AND r.upload = s.upload AND r.part = p.part_no AND r.chunk = +s.chunk AND r.version = p.chunk_ref_version;

-- Uploads in flight: only those of the bucket's current generation.
CREATE VIEW s3_open_upload AS
SELECT u.id, b.id AS bucket, u.generation, u.object, u.upload_id, m.value, m.source
FROM s3_upload_meta m
JOIN s3_upload u ON u.id = m.upload
JOIN s3_bucket b ON b.name = u.bucket AND b.generation = u.generation;

-- Chunks that belong neither to an object nor to an upload in flight. `bytes` is what the row holds or refers to.
CREATE VIEW s3_orphan AS
SELECT c.upload, c.part, c.chunk, c.version, 0 AS offloaded, c.length AS bytes, c.length, c.value, c.start, c.source, NULL AS digest
FROM s3_chunk c
WHERE NOT EXISTS (
        SELECT 1 FROM s3_part p INDEXED BY s3_part_by_number JOIN s3_part_chunk s ON s.upload = p.upload AND s.part = p.ordinal
        WHERE p.upload = c.upload AND p.part_no = c.part AND NOT p.offloaded AND p.part_version = c.version
            AND s.chunk = +c.chunk)
    AND NOT EXISTS (SELECT 1 FROM s3_open_upload o WHERE o.id = c.upload)
UNION ALL
SELECT r.upload, r.part, r.chunk, r.version, 1, r.size, NULL, NULL, NULL, r.source, r.digest
FROM s3_chunk_ref r
WHERE NOT EXISTS (
        SELECT 1 FROM s3_part p INDEXED BY s3_part_by_number JOIN s3_part_chunk s ON s.upload = p.upload AND s.part = p.ordinal
        WHERE p.upload = r.upload AND p.part_no = r.part AND p.offloaded AND p.chunk_ref_version = r.version
            AND s.chunk = +r.chunk)
    AND NOT EXISTS (SELECT 1 FROM s3_open_upload o WHERE o.id = r.upload);

-- For people, as the views of the other families: text where it is text, a blob literal where it is not.
CREATE VIEW s3_buckets AS
SELECT iif(b.name_is_text, CAST(b.name AS TEXT), quote(b.name)) AS bucket,
    b.generation, b.owner, b.region, b.acl,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(b.created_at_hlc, 0) / 65536 / 1000.0, 'unixepoch') AS created,
    (SELECT count(*) FROM s3_object o WHERE o.bucket = b.id) AS objects,
    (SELECT coalesce(sum(o.size_bytes), 0) FROM s3_object o WHERE o.bucket = b.id AND NOT o.damaged) AS bytes,
    (SELECT count(*) FROM s3_object o WHERE o.bucket = b.id AND o.damaged) AS damaged_objects,
    (SELECT count(*) FROM s3_open_upload u WHERE u.bucket = b.id) AS open_uploads
FROM s3_bucket b;

CREATE VIEW s3_objects AS
SELECT iif(b.name_is_text, CAST(b.name AS TEXT), quote(b.name)) AS bucket,
    iif(o.object_is_text, CAST(o.object AS TEXT), quote(o.object)) AS object,
    o.size_bytes, o.content_type, o.etag, o.parts,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(o.last_modified_hlc, 0) / 65536 / 1000.0, 'unixepoch') AS last_modified,
    o.content_encoding, o.cache_control, o.content_disposition, o.user_metadata, o.damaged,
    hex(o.object) AS object_hex
FROM s3_object o JOIN s3_bucket b ON b.id = o.bucket;

CREATE VIEW s3_faults AS
SELECT iif(b.name_is_text, CAST(b.name AS TEXT), quote(b.name)) AS bucket,
    iif(o.object_is_text, CAST(o.object AS TEXT), quote(o.object)) AS object,
    f.part_no, f.chunk, f.kind, f.detail
FROM s3_fault f JOIN s3_upload u ON u.id = f.upload
JOIN s3_bucket b ON b.name = u.bucket JOIN s3_object o ON o.bucket = b.id AND o.object = u.object;

-- Chunks that objects name and the files lack, offloaded ones with the nodes that should have them.
CREATE VIEW s3_missing_chunks AS
SELECT bucket, object, part_no, chunk, detail FROM s3_faults
WHERE kind IN ('s3_missing_chunk', 's3_missing_chunkblob');

CREATE VIEW s3_orphan_chunks AS
SELECT iif(CAST(u.bucket AS TEXT) GLOB '*[^ -~]*' OR instr(u.bucket, x'00'), quote(u.bucket), CAST(u.bucket AS TEXT)) AS bucket,
    u.generation,
    iif(CAST(u.object AS TEXT) GLOB '*[^ -~]*' OR instr(u.object, x'00'), quote(u.object), CAST(u.object AS TEXT)) AS object,
    iif(CAST(u.upload_id AS TEXT) GLOB '*[^ -~]*' OR instr(u.upload_id, x'00'), quote(u.upload_id), CAST(u.upload_id AS TEXT)) AS upload_id,
    o.part, o.chunk, o.version, o.offloaded, o.bytes
FROM s3_orphan o JOIN s3_upload u ON u.id = o.upload;

CREATE VIEW s3_open_uploads AS
SELECT iif(b.name_is_text, CAST(b.name AS TEXT), quote(b.name)) AS bucket,
    iif(CAST(u.object AS TEXT) GLOB '*[^ -~]*' OR instr(u.object, x'00'), quote(u.object), CAST(u.object AS TEXT)) AS object,
    iif(CAST(u.upload_id AS TEXT) GLOB '*[^ -~]*' OR instr(u.upload_id, x'00'), quote(u.upload_id), CAST(u.upload_id AS TEXT)) AS upload_id,
    (SELECT count(*) FROM s3_upload_part p WHERE p.upload = u.id) AS parts
FROM s3_open_upload u JOIN s3_bucket b ON b.id = u.bucket;

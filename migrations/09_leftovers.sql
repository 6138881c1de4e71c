-- What no client sees, of every family: rows that lead nowhere, and rows of which another one counts. The kinds are
-- those of the warnings, as docs/warnings.md has them. Names and keys are shown as in the views of the families.

-- `rows` is how many there are of a kind in one place, and `key` is NULL where that is a whole table or queue.
CREATE VIEW orphans AS
SELECT 'redis_orphan_ttl' AS kind, 'redis' AS family, '0' AS scope,
    iif(t.key_is_text, CAST(t.key AS TEXT), quote(t.key)) AS key, 1 AS rows, hex(t.key) AS key_hex
FROM redis_ttl t
WHERE NOT EXISTS (SELECT 1 FROM redis_string s WHERE s.key = t.key)
    AND NOT EXISTS (SELECT 1 FROM redis_collection c WHERE c.key = t.key)
    AND NOT EXISTS (SELECT 1 FROM redis_hll h WHERE h.key = t.key)
    AND NOT EXISTS (SELECT 1 FROM redis_bare_string b WHERE b.key = t.key)
UNION ALL
SELECT 'redis_stream_orphan_entries_without_meta', 'redis', '0',
    iif(key_is_text, CAST(key AS TEXT), quote(key)), elements, hex(key)
FROM redis_collection
WHERE type = 'stream' AND meta_length IS NULL AND elements > 0
UNION ALL
SELECT iif(t.id IS NULL, 'ddb_orphan_items', 'ddb_stale_generation_items'), 'dynamodb',
    coalesce(iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)), CAST(n.segment AS TEXT)),
    NULL, sum(g.rows), NULL
FROM dynamodb_generation g
CROSS JOIN dynamodb_table_name n ON n.id = g.table_id
LEFT JOIN dynamodb_table t ON t.id = g.table_id
WHERE t.id IS NULL
    OR (g.generation <> t.generation
        AND NOT (t.key_encoding_version >= 2 AND t.migrating_from_generation <> 0
            AND g.generation = t.migrating_from_generation))
GROUP BY g.table_id
UNION ALL
SELECT iif(b.id IS NULL, 's3_object_without_bucket', 's3_stale_generation_objects'), 's3',
    iif(CAST(h.bucket AS TEXT) GLOB '*[^ -~]*' OR instr(h.bucket, x'00'), quote(h.bucket), CAST(h.bucket AS TEXT)),
    iif(CAST(h.object AS TEXT) GLOB '*[^ -~]*' OR instr(h.object, x'00'), quote(h.object), CAST(h.object AS TEXT)),
    1, hex(h.object)
FROM s3_head h LEFT JOIN s3_bucket b ON b.name = h.bucket
WHERE b.id IS NULL OR b.generation <> h.generation
UNION ALL
SELECT 's3_orphan_chunks', 's3',
    iif(CAST(u.bucket AS TEXT) GLOB '*[^ -~]*' OR instr(u.bucket, x'00'), quote(u.bucket), CAST(u.bucket AS TEXT)),
    iif(CAST(u.object AS TEXT) GLOB '*[^ -~]*' OR instr(u.object, x'00'), quote(u.object), CAST(u.object AS TEXT)),
    o.chunks, hex(u.object)
FROM (SELECT upload, count(*) AS chunks FROM s3_orphan GROUP BY upload) o JOIN s3_upload u ON u.id = o.upload
UNION ALL
SELECT
    CASE unreachable
        WHEN 'deleted queue' THEN 'sqs_deleted_queue_messages'
        WHEN 'no queue' THEN 'sqs_messages_without_queue'
        WHEN 'old generation' THEN 'sqs_old_generation_messages'
        WHEN 'future generation' THEN 'sqs_future_generation_messages'
        WHEN 'wrong keyspace' THEN 'sqs_wrong_keyspace_messages'
        ELSE 'sqs_partition_out_of_range_messages'
    END,
    'sqs', iif(queue_is_text, CAST(queue AS TEXT), quote(queue)), NULL, messages, NULL
FROM sqs_partition_state
WHERE unreachable IS NOT NULL AND messages > 0;

-- Several rows under one key: what `loser` names is not in the dump, what `winner` names is. Of rows in two files only
-- the first few are known, in the words of the warning.
CREATE VIEW conflicts AS
SELECT iif((type, winner) = ('bare string', 'string'), 'redis_stale_bare_string', 'redis_type_conflict') AS kind,
    'redis' AS family, '0' AS scope,
    iif(CAST(key AS TEXT) GLOB '*[^ -~]*' OR instr(key, x'00'), quote(key), CAST(key AS TEXT)) AS key,
    type AS loser, winner, hex(key) AS key_hex
FROM redis_type_conflict
UNION ALL
SELECT 'ddb_migration_duplicates', 'dynamodb', table_name, 'X''' || payload_hex || '''',
    'row of generation ' || generation, 'item', payload_hex
FROM dynamodb_other_rows
WHERE state = 'duplicate'
UNION ALL
SELECT kind, NULL, NULL, sample, 'row of a later file', 'row of the first file', NULL
FROM warning_sample
WHERE kind = 'row_in_two_files';

-- All keys of the dump, of every family, in one shape: Redis keys, DynamoDB items, S3 objects, SQS queues with their
-- messages as elements. A scope is what --scope takes: a database, a table, a bucket, a queue. The name is what people
-- call a key, of whatever family: with its table or bucket before it.
--
-- Family by family, keys are read from indexes in the order of scope_order and key_order, without sorting: the name of
-- a table or bucket and the key in it; the key alone where no table or bucket comes first. For that the joins are
-- written in this order, and plus signs give a column the same affinity, none, in all families.
CREATE VIEW keys AS
SELECT 'dynamodb' AS family,
    iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)) AS scope,
    coalesce(
        iif(typeof(i.hash) = 'blob', quote(i.hash), i.hash)
            || iif(i.range_type IS NULL, '', '/' || iif(typeof(i.range) = 'blob', quote(i.range), i.range)),
        quote(i.identity)) AS key,
    'item' AS type,
    (SELECT iif(typeof(r.value) = 'integer', (SELECT l.length FROM large_value l WHERE l.id = r.value), length(r.value))
        FROM dynamodb_item_row r
        WHERE r.table_id = i.table_id AND r.generation = i.generation AND r.payload = coalesce(i.payload, i.identity))
        AS bytes,
    NULL AS elements,
    NULL AS expires,
    NULL AS expire_at_ms,
    hex(i.identity) AS key_hex,
    n.segment AS scope_order,
    i.identity AS key_order,
    CAST(iif(instr(n.name, x'00'), quote(n.name), CAST(n.name AS TEXT)) || '/' || coalesce(
        iif(typeof(i.hash) = 'blob', quote(i.hash), i.hash)
            || iif(i.range_type IS NULL, '', '/' || iif(typeof(i.range) = 'blob', quote(i.range), i.range)),
        quote(i.identity)) AS BLOB) AS name
FROM dynamodb_table_name n CROSS JOIN dynamodb_item i ON i.table_id = n.id
UNION ALL
SELECT 'redis', '0', +key, +type, +bytes, +elements, +expires, +expire_at_ms, +key_hex, key_order, key_order, CAST(key_order AS BLOB)
FROM redis_keys
UNION ALL
SELECT 's3',
    iif(b.name_is_text, CAST(b.name AS TEXT), quote(b.name)),
    iif(o.object_is_text, CAST(o.object AS TEXT), quote(o.object)),
    'object', +o.size_bytes, NULL, NULL, NULL, hex(o.object), b.name, o.object, CAST(b.name || '/' || o.object AS BLOB)
FROM s3_bucket b CROSS JOIN s3_object o ON o.bucket = b.id
WHERE NOT o.damaged
UNION ALL
SELECT 'sqs',
    iif(q.queue_is_text, CAST(q.queue AS TEXT), quote(q.queue)),
    iif(q.queue_is_text, CAST(q.queue AS TEXT), quote(q.queue)),
    'queue',
    (SELECT coalesce(sum(iif(typeof(m.body) = 'integer',
            (SELECT l.length / 4 * 3 FROM large_value l WHERE l.id = m.body), length(CAST(m.body AS BLOB)))), 0)
        FROM sqs_partition_state s JOIN sqs_message m ON m.partition_id = s.id
        WHERE s.queue = q.queue AND s.unreachable IS NULL),
    (SELECT coalesce(sum(s.messages), 0) FROM sqs_partition_state s WHERE s.queue = q.queue AND s.unreachable IS NULL),
    NULL, NULL, hex(q.queue), q.queue, q.queue, CAST(q.queue AS BLOB)
FROM sqs_queue q;

-- The limit stands here because SQLite then holds the biggest ones only; around the view it would come too late.
CREATE VIEW biggest_keys AS
SELECT family, scope, key, type, bytes, elements, expires, key_hex, scope_order, key_order
FROM keys
ORDER BY bytes DESC, key_order
LIMIT 100;

-- Days are those of UTC.
CREATE VIEW expiries_by_day AS
SELECT strftime('%Y-%m-%d', expire_at_ms / 1000, 'unixepoch') AS day, family, count(*) AS keys, sum(bytes) AS bytes
FROM keys
WHERE expire_at_ms IS NOT NULL
GROUP BY day, family;

-- The SQS family. Names of queues and message ids are BLOB, so that their order is the order of their bytes; the views
-- show them as text. Other texts are TEXT, or BLOB if they hold a NUL. Times are Unix milliseconds unless they are
-- called seconds.

-- Queues that exist: those with a meta row.
CREATE TABLE sqs_queue (
    queue                         BLOB NOT NULL PRIMARY KEY,  -- the name in the key
    queue_is_text                 INTEGER NOT NULL,           -- UTF-8 without control characters
    name                          ANY NOT NULL,               -- the name in the value; '' for that of the key
    generation                    ANY NOT NULL,               -- the current one: messages of others are not the queue's
    incarnation                   ANY NOT NULL,               -- generation when it was created, 0 if unknown
    created_at_hlc                ANY NOT NULL,               -- HLC
    is_fifo                       INTEGER NOT NULL,
    content_based_deduplication   INTEGER NOT NULL,
    visibility_timeout_seconds    INTEGER NOT NULL,
    message_retention_seconds     INTEGER NOT NULL,
    delay_seconds                 INTEGER NOT NULL,
    receive_message_wait_seconds  INTEGER NOT NULL,
    maximum_message_size          INTEGER NOT NULL,           -- bytes
    redrive_policy                ANY NOT NULL,               -- JSON text, as the client sent it
    redrive_allow_policy          ANY NOT NULL,
    tags                          ANY,                        -- JSON object, or NULL
    throttle                      ANY,                        -- JSON object as stored, or NULL
    last_purged_at_ms             INTEGER NOT NULL,
    created_at_ms                 INTEGER NOT NULL,
    last_modified_at_ms           INTEGER NOT NULL,
    partition_count               INTEGER NOT NULL,           -- 0 and 1: classic keys
    fifo_throughput_limit         ANY NOT NULL,
    deduplication_scope           ANY NOT NULL,
    source                        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The generation and the FIFO sequence number that a queue issued last; they outlive it.
CREATE TABLE sqs_counter (
    kind    TEXT NOT NULL,                  -- generation, sequence
    queue   BLOB NOT NULL,
    number  ANY NOT NULL,
    value   ANY NOT NULL,                   -- as stored
    version BLOB NOT NULL,                  -- the end of the raw key
    source  INTEGER NOT NULL,
    PRIMARY KEY (kind, queue)
) STRICT, WITHOUT ROWID;

-- What a key of a message begins with: a generation of a queue, and in partitioned queues a partition of it. The rows
-- of one stand together in a snapshot and are numbered as they first appear.
CREATE TABLE sqs_partition (
    id         INTEGER PRIMARY KEY,
    queue      BLOB NOT NULL,
    queue_is_text INTEGER NOT NULL,
    partition  INTEGER,                     -- NULL: classic keys
    generation ANY NOT NULL,
    prefix     BLOB NOT NULL UNIQUE,        -- the bytes of its keys after the family: their order is that of the snapshot
    messages   INTEGER NOT NULL DEFAULT 0,
    source     INTEGER NOT NULL             -- of the first row seen
) STRICT;

CREATE INDEX sqs_partition_of_queue ON sqs_partition (queue);

CREATE TABLE sqs_message (
    partition_id              INTEGER NOT NULL,
    id_text                   BLOB NOT NULL,    -- base64url, as the key has it: so rows come in order
    message_id                BLOB NOT NULL,
    send_ms                   INTEGER NOT NULL,
    sequence_number           ANY NOT NULL,     -- 0: none
    available_ms              INTEGER NOT NULL,
    visible_ms                INTEGER NOT NULL,
    receive_count             INTEGER NOT NULL,
    first_receive_ms          INTEGER NOT NULL, -- 0: never received
    receipt_token             BLOB NOT NULL,
    queue_generation          ANY NOT NULL,     -- as the value says
    group_id                  ANY NOT NULL,
    deduplication_id          ANY NOT NULL,
    dead_letter_source_arn    ANY NOT NULL,
    sender_id                 ANY NOT NULL,
    md5_of_body               ANY NOT NULL,
    md5_of_message_attributes ANY NOT NULL,
    message_attributes        ANY NOT NULL,     -- JSON as in the dump, '' for none
    body                      ANY NOT NULL,     -- INTEGER: this large_value holds its base64 text
    value_message_id          ANY,              -- what the value says, if it is not what the key says
    group_hash                INTEGER,          -- FNV-1a of the group, in partitioned keys
    source                    INTEGER NOT NULL,
    PRIMARY KEY (partition_id, id_text)
) STRICT, WITHOUT ROWID;

-- Data rows whose value cannot be read. Only those of a queue's own messages are malformed rows; the values of
-- leftovers are nobody's business (docs/format/sqs.md section 4).
CREATE TABLE sqs_unreadable_message (
    partition_id  INTEGER NOT NULL,
    id_text       BLOB NOT NULL,
    user_key_bytes INTEGER NOT NULL,
    raw_key       BLOB NOT NULL,
    raw_value     ANY NOT NULL,             -- INTEGER: the payload is this large_value
    rule          TEXT NOT NULL,
    byte_offset   INTEGER NOT NULL,
    source        INTEGER NOT NULL,
    PRIMARY KEY (partition_id, id_text, source)
) STRICT, WITHOUT ROWID;

-- Rows that only help to find messages, or to refuse some. Family: 0 byage, 1 dedup, 2 group, 3 vis.
CREATE TABLE sqs_side_row (
    family       INTEGER NOT NULL,
    partition_id INTEGER NOT NULL,
    time_ms      ANY NOT NULL,              -- in the keys of byage and vis, otherwise 0
    rest         BLOB NOT NULL,             -- the rest of the key: base64url of a message id or of other ids
    version      BLOB NOT NULL,             -- the end of the raw key
    value        ANY NOT NULL,
    source       INTEGER NOT NULL,
    PRIMARY KEY (family, partition_id, time_ms, rest)
) STRICT, WITHOUT ROWID;

-- Generations that wait for the reaper.
CREATE TABLE sqs_tombstone (
    queue      BLOB NOT NULL,
    generation ANY NOT NULL,
    partitions INTEGER NOT NULL,
    value      ANY NOT NULL,                -- as stored
    version    BLOB NOT NULL,               -- the end of the raw key
    source     INTEGER NOT NULL,
    PRIMARY KEY (queue, generation)
) STRICT, WITHOUT ROWID;

-- Why a client cannot reach the messages of a partition; NULL if it can: they are the queue's.
CREATE VIEW sqs_partition_state AS
SELECT p.id, p.queue, p.queue_is_text, p.partition, p.generation, p.prefix, p.messages, p.source,
    CASE
        WHEN q.queue IS NULL THEN iif(
            coalesce((SELECT c.number FROM sqs_counter c WHERE c.kind = 'generation' AND c.queue = p.queue), 0)
                > p.generation,
            'deleted queue', 'no queue')
        WHEN p.generation < q.generation THEN 'old generation'
        WHEN p.generation > q.generation THEN 'future generation'
        WHEN (p.partition IS NULL) <> (q.partition_count <= 1) THEN 'wrong keyspace'
        WHEN p.partition >= iif(q.fifo_throughput_limit = 'perQueue', 1, q.partition_count)
            THEN 'partition out of range'
    END AS unreachable
FROM sqs_partition p LEFT JOIN sqs_queue q ON q.queue = p.queue;

-- For people: queues with their attributes, and how many of their messages were in which state when the snapshot was
-- taken.
CREATE VIEW sqs_queues AS
SELECT
    iif(q.queue_is_text, CAST(q.queue AS TEXT), quote(q.queue)) AS queue,
    q.generation,
    q.is_fifo,
    q.partition_count,
    coalesce(m.messages, 0) AS messages,
    coalesce(m.visible, 0) AS visible,
    coalesce(m.delayed, 0) AS delayed,
    coalesce(m.in_flight, 0) AS in_flight,
    coalesce(m.retention_expired, 0) AS retention_expired,
    (SELECT c.number FROM sqs_counter c WHERE c.kind = 'sequence' AND c.queue = q.queue) AS last_sequence_number,
    q.visibility_timeout_seconds,
    q.message_retention_seconds,
    q.delay_seconds,
    q.receive_message_wait_seconds,
    q.maximum_message_size,
    nullif(q.redrive_policy, '') AS redrive_policy,
    nullif(q.redrive_allow_policy, '') AS redrive_allow_policy,
    q.content_based_deduplication,
    nullif(q.fifo_throughput_limit, '') AS fifo_throughput_limit,
    nullif(q.deduplication_scope, '') AS deduplication_scope,
    q.tags,
    q.throttle,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(q.created_at_ms, 0) / 1000.0, 'unixepoch') AS created,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(q.last_modified_at_ms, 0) / 1000.0, 'unixepoch') AS last_modified,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(q.last_purged_at_ms, 0) / 1000.0, 'unixepoch') AS last_purged,
    hex(q.queue) AS queue_hex
FROM sqs_queue q LEFT JOIN (
    SELECT s.queue,
        count(*) AS messages,
        count(*) FILTER (WHERE m.visible_ms <= t.value) AS visible,
        count(*) FILTER (WHERE m.visible_ms > t.value AND m.receive_count = 0) AS delayed,
        count(*) FILTER (WHERE m.visible_ms > t.value AND m.receive_count <> 0) AS in_flight,
        count(*) FILTER (WHERE o.message_retention_seconds > 0
            AND t.value - m.send_ms > o.message_retention_seconds * 1000) AS retention_expired
    FROM sqs_partition_state s
    JOIN sqs_queue o ON o.queue = s.queue
    JOIN sqs_message m ON m.partition_id = s.id
    JOIN run t ON t.name = 'snapshot_ms'
    WHERE s.unreachable IS NULL
    GROUP BY s.queue
) m ON m.queue = q.queue;

-- The messages of the dump.
CREATE VIEW sqs_messages AS
SELECT
    iif(s.queue_is_text, CAST(s.queue AS TEXT), quote(s.queue)) AS queue,
    iif(CAST(m.message_id AS TEXT) GLOB '*[^ -~]*' OR instr(m.message_id, x'00'), quote(m.message_id), CAST(m.message_id AS TEXT)) AS message_id,
    CASE WHEN m.visible_ms <= t.value THEN 'visible' WHEN m.receive_count = 0 THEN 'delayed' ELSE 'in flight' END AS state,
    q.message_retention_seconds > 0
        AND t.value - m.send_ms > q.message_retention_seconds * 1000 AS retention_expired,
    m.receive_count,
    nullif(m.group_id, '') AS group_id,
    nullif(m.sequence_number, 0) AS sequence_number,
    nullif(m.deduplication_id, '') AS deduplication_id,
    s.partition,
    strftime('%Y-%m-%dT%H:%M:%fZ', m.send_ms / 1000.0, 'unixepoch') AS sent,
    strftime('%Y-%m-%dT%H:%M:%fZ', m.available_ms / 1000.0, 'unixepoch') AS available,
    strftime('%Y-%m-%dT%H:%M:%fZ', m.visible_ms / 1000.0, 'unixepoch') AS visible,
    strftime('%Y-%m-%dT%H:%M:%fZ', nullif(m.first_receive_ms, 0) / 1000.0, 'unixepoch') AS first_received,
    nullif(m.dead_letter_source_arn, '') AS dead_letter_source_arn,
    nullif(m.message_attributes, '') AS message_attributes,
    iif(typeof(m.body) = 'integer', NULL, m.body) AS body,     -- NULL: too long to be in the database
    iif(typeof(m.body) = 'integer',
        (SELECT l.length / 4 * 3 FROM large_value l WHERE l.id = m.body), length(CAST(m.body AS BLOB))) AS body_bytes,
    m.send_ms, m.available_ms, m.visible_ms,
    hex(s.queue) AS queue_hex
FROM sqs_partition_state s
JOIN sqs_queue q ON q.queue = s.queue
JOIN sqs_message m ON m.partition_id = s.id
JOIN run t ON t.name = 'snapshot_ms'
WHERE s.unreachable IS NULL;

-- Rows of messages that no client can reach, and why: leftovers of purged and deleted queues, mostly.
CREATE VIEW sqs_unreachable_messages AS
SELECT
    iif(queue_is_text, CAST(queue AS TEXT), quote(queue)) AS queue,
    generation, partition, messages, unreachable, hex(queue) AS queue_hex
FROM sqs_partition_state
WHERE unreachable IS NOT NULL AND messages > 0;

-- Side rows with what their keys and values say.
CREATE VIEW sqs_side_rows AS
SELECT
    CASE r.family WHEN 0 THEN 'byage' WHEN 1 THEN 'dedup' WHEN 2 THEN 'group' ELSE 'vis' END AS family,
    iif(p.queue_is_text, CAST(p.queue AS TEXT), quote(p.queue)) AS queue,
    p.generation,
    p.partition,
    nullif(r.time_ms, 0) AS time_ms,
    iif(CAST(r.rest AS TEXT) GLOB '*[^ -~]*' OR instr(r.rest, x'00'), quote(r.rest), CAST(r.rest AS TEXT)) AS rest,
    r.value,
    hex(p.queue) AS queue_hex
FROM sqs_side_row r JOIN sqs_partition p ON p.id = r.partition_id;

-- Index rows of a queue's own messages that lead to none, or to one of another time.
CREATE VIEW sqs_index_rows_without_message AS
SELECT
    iif(r.family = 0, 'byage', 'vis') AS family,
    iif(s.queue_is_text, CAST(s.queue AS TEXT), quote(s.queue)) AS queue,
    s.partition,
    r.time_ms,
    r.value AS message_id,
    hex(s.queue) AS queue_hex
FROM sqs_partition_state s JOIN sqs_side_row r ON r.partition_id = s.id
WHERE s.unreachable IS NULL AND r.family IN (0, 3) AND NOT EXISTS (
    SELECT 1 FROM sqs_message m
    WHERE m.partition_id = r.partition_id AND m.id_text = r.rest
        AND max(iif(r.family = 0, m.send_ms, m.visible_ms), 0) = r.time_ms);

-- Messages that a node does not find: without a vis row none is received, without a byage row none is reaped.
CREATE VIEW sqs_messages_without_index_row AS
SELECT
    f.family,
    iif(s.queue_is_text, CAST(s.queue AS TEXT), quote(s.queue)) AS queue,
    s.partition,
    iif(CAST(m.message_id AS TEXT) GLOB '*[^ -~]*' OR instr(m.message_id, x'00'), quote(m.message_id), CAST(m.message_id AS TEXT)) AS message_id,
    hex(s.queue) AS queue_hex
FROM sqs_partition_state s
JOIN sqs_message m ON m.partition_id = s.id
CROSS JOIN (SELECT 'byage' AS family, 0 AS number UNION ALL SELECT 'vis', 3) f
WHERE s.unreachable IS NULL AND NOT EXISTS (
    SELECT 1 FROM sqs_side_row r
    WHERE r.family = f.number AND r.partition_id = s.id
        AND r.time_ms = max(iif(f.number = 0, m.send_ms, m.visible_ms), 0) AND r.rest = m.id_text);

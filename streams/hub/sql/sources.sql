-- Systems without a database, and schedules.

-- name: take_source_lease
-- The lease, when it is free, ours, or over.
INSERT INTO source_lease (system, holder, until)
VALUES (%(system)s, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (system) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE source_lease.holder = excluded.holder OR source_lease.until < clock_timestamp() RETURNING system;

-- name: give_source_lease
DELETE FROM source_lease WHERE system = %(system)s AND holder = %(holder)s;

-- name: has_source_lease
-- Shared: the lease cannot go to another reader before this transaction ends.
SELECT system FROM source_lease WHERE system = %(system)s AND holder = %(holder)s AND until > clock_timestamp() FOR SHARE;

-- name: add_source_read
INSERT INTO source_read (system, table_name) VALUES (%(system)s, %(table)s) ON CONFLICT DO NOTHING;

-- name: source_reads
SELECT system, table_name AS table, watermark, position, read_at, swept_at, whole_wanted, wanted_at, problem, problem_at FROM source_read WHERE system = ANY(%(systems)s);

-- name: lock_source_read
SELECT position, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS now_us FROM source_read
WHERE system = %(system)s AND table_name = %(table)s FOR UPDATE;

-- name: source_rows
SELECT key, digest, row, version, position FROM source_row WHERE system = %(system)s AND table_name = %(table)s AND key = ANY(%(keys)s);

-- name: live_source_rows
-- Rows that were there before this position, and are not deleted.
SELECT key, row FROM source_row WHERE system = %(system)s AND table_name = %(table)s AND row IS NOT NULL AND position <= %(before)s;

-- name: all_source_rows
SELECT row FROM source_row WHERE system = %(system)s AND table_name = %(table)s AND row IS NOT NULL;

-- name: save_source_rows
INSERT INTO source_row (system, table_name, key, digest, row, version, position)
SELECT %(system)s, %(table)s, * FROM unnest(%(keys)s::text[], %(digests)s::bytea[], %(rows)s::bytea[], %(versions)s::text[], %(positions)s::bigint[])
ON CONFLICT (system, table_name, key) DO UPDATE SET digest = excluded.digest, row = excluded.row, version = excluded.version, position = excluded.position;

-- name: add_source_sends
INSERT INTO source_send (topic, position, system, key, value)
SELECT %(topic)s, p.position, %(system)s, p.key, p.value FROM unnest(%(positions)s::bigint[], %(keys)s::bytea[], %(values)s::bytea[]) AS p (position, key, value);

-- name: save_source_position
UPDATE source_read SET position = %(position)s WHERE system = %(system)s AND table_name = %(table)s;

-- name: end_source_read
-- A watermark that is null leaves the one that is known.
UPDATE source_read SET read_at = clock_timestamp(), watermark = coalesce(%(watermark)s, watermark), problem = NULL, problem_at = NULL,
    swept_at = CASE WHEN %(swept)s THEN clock_timestamp() ELSE swept_at END,
    whole_wanted = whole_wanted AND (NOT %(swept)s OR wanted_at > %(began)s),
    wanted_at = CASE WHEN wanted_at > %(began)s THEN wanted_at END
WHERE system = %(system)s AND table_name = %(table)s;

-- name: fail_source_read
UPDATE source_read SET problem = %(problem)s, problem_at = CASE WHEN problem IS NULL THEN clock_timestamp() ELSE problem_at END
WHERE system = %(system)s AND table_name = %(table)s;

-- name: want_source_read
UPDATE source_read SET wanted_at = clock_timestamp(), whole_wanted = whole_wanted OR %(whole)s
WHERE system = %(system)s AND (%(table)s::text IS NULL OR table_name = %(table)s) RETURNING table_name AS name;

-- name: forget_source_rows
-- For a new epoch: every row is sent once more.
UPDATE source_row SET digest = '\x00' WHERE system = %(system)s AND row IS NOT NULL;

-- name: forget_source_reads
UPDATE source_read SET watermark = NULL, swept_at = NULL, whole_wanted = true, wanted_at = clock_timestamp() WHERE system = %(system)s;

-- name: forget_source_files
DELETE FROM source_file WHERE system = %(system)s;

-- name: lock_source_sends
-- One sender for each system: two would send the same.
SELECT pg_try_advisory_xact_lock(hashtextextended('opshub.source_send ' || %(system)s, 0)) AS is_ours;

-- name: source_sends
SELECT topic, position, key, value FROM source_send WHERE system = %(system)s ORDER BY position LIMIT %(most)s;

-- name: source_sends_up_to
-- Whether Kafka has everything of a topic up to a position.
SELECT NOT EXISTS (SELECT FROM source_send WHERE topic = %(topic)s AND position <= %(position)s) AS is_sent;

-- name: delete_source_sends
DELETE FROM source_send USING unnest(%(topics)s::text[], %(positions)s::bigint[]) AS sent (topic, position)
WHERE source_send.topic = sent.topic AND source_send.position = sent.position;

-- name: count_source_sends
SELECT count(*) AS number FROM source_send WHERE system = %(system)s;

-- name: add_source_event
INSERT INTO source_event (system, event) VALUES (%(system)s, %(event)s) ON CONFLICT DO NOTHING RETURNING event AS name;

-- name: forget_source_events
DELETE FROM source_event WHERE at < clock_timestamp() - interval '30 days';

-- name: add_source_hint
INSERT INTO source_hint (system, table_name, key) VALUES (%(system)s, %(table)s, %(key)s);

-- name: source_hints
SELECT table_name AS table, key, number FROM source_hint WHERE system = %(system)s ORDER BY number LIMIT 100;

-- name: delete_source_hints
DELETE FROM source_hint WHERE system = %(system)s AND table_name = %(table)s AND key = %(key)s AND number <= %(number)s;

-- name: source_files
SELECT digest, name, at, rows, problem FROM source_file WHERE system = %(system)s AND table_name = %(table)s ORDER BY at DESC LIMIT %(most)s;

-- name: source_file
SELECT digest, name, at, rows, problem FROM source_file WHERE system = %(system)s AND table_name = %(table)s AND digest = %(digest)s;

-- name: add_source_file
INSERT INTO source_file (system, table_name, digest, name, rows, problem)
VALUES (%(system)s, %(table)s, %(digest)s, %(name)s, %(rows)s, %(problem)s);

-- name: sync_batches
SELECT scope, began_at, ends, ended_at FROM sync_batch;

-- name: begin_sync_batch
INSERT INTO sync_batch (scope, began_at, ends) VALUES (%(scope)s, clock_timestamp(), %(ends)s::jsonb)
ON CONFLICT (scope) DO UPDATE SET began_at = excluded.began_at, ends = excluded.ends, ended_at = NULL;

-- name: end_sync_batch
UPDATE sync_batch SET ended_at = clock_timestamp() WHERE scope = %(scope)s AND ended_at IS NULL;

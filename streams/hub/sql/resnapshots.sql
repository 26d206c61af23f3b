-- name: add_resnapshots
-- Rows to be read again. A request that is being carried out may not have seen this change: its time moves on, so that it stays.
INSERT INTO row_resnapshot (system, table_name, condition, value)
SELECT DISTINCT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (system, table_name, condition, value) DO UPDATE SET changed_at = clock_timestamp();

-- name: waiting_resnapshots
-- The oldest requests of these systems, unless another session is at work on them.
SELECT system, table_name, condition, value, changed_at FROM row_resnapshot
WHERE system = ANY(%(systems)s) AND pg_try_advisory_xact_lock(7365710170) ORDER BY changed_at LIMIT %(most)s;

-- name: resnapshots_requested
-- Their connectors were asked for them.
DELETE FROM row_resnapshot r USING unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS done (system, table_name, condition, value, changed_at)
WHERE (r.system, r.table_name, r.condition, r.value, r.changed_at) = (done.system, done.table_name, done.condition, done.value, done.changed_at);

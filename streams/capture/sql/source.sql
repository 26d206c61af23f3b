-- Statements over a captured Postgres database, run by the role that captures it.

-- name: source_state
-- What identifies the server and its history, and how far the slot was read. Without the slot: slot_lsn is null.
SELECT s.system_identifier::text AS system_identifier, c.timeline_id AS timeline,
       (r.confirmed_flush_lsn - '0/0'::pg_lsn)::bigint AS slot_lsn, coalesce(r.wal_status = 'lost', false) AS is_invalid
FROM pg_control_system() s CROSS JOIN pg_control_checkpoint() c
LEFT JOIN pg_replication_slots r ON r.slot_name = %(slot)s;

-- name: slot
-- The query_start of a walsender is when it began to stream. What came before was a snapshot, during which Debezium writes no heartbeat.
SELECT s.active, s.wal_status, (pg_current_wal_lsn() - s.restart_lsn)::bigint AS kept_bytes, s.safe_wal_size AS left_bytes,
       (SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit_bytes,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS streaming_s
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = %(slot)s;

-- name: heartbeat_table
-- No row where there is no such table.
SELECT has_table_privilege(c.oid, 'SELECT') AS is_readable FROM pg_class c WHERE c.oid = to_regclass(%(table)s);

-- name: slot_use
-- Whether nobody reads the slot and nobody takes a snapshot: a snapshot leaves the slot unread for as long as it takes.
SELECT NOT active AND NOT EXISTS
    (SELECT FROM pg_stat_activity WHERE usename = current_user AND application_name LIKE 'Debezium%%') AS is_unused
FROM pg_replication_slots WHERE slot_name = %(slot)s;

-- name: drop_idle_slot
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %(slot)s AND NOT active;

-- name: table_columns
SELECT n.nspname || '.' || c.relname AS table, a.attnum::text AS number, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(%(tables)s) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped;

-- name: source_state
-- What a source was at the last check; locked, so that two checks at once do not overwrite each other's alarm.
SELECT system_identifier, timeline, (slot_lsn - '0/0'::pg_lsn)::bigint AS slot_lsn, alarm,
       extract(epoch FROM now() - resync_at)::float8 AS resync_age_s
FROM source_state
WHERE system = %(system)s FOR UPDATE;

-- name: save_source_state
INSERT INTO source_state (system, system_identifier, timeline, slot_lsn, alarm)
VALUES (%(system)s, %(system_identifier)s, %(timeline)s, '0/0'::pg_lsn + %(slot_lsn)s::numeric, %(alarm)s)
ON CONFLICT (system) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline,
    slot_lsn = excluded.slot_lsn, alarm = excluded.alarm, seen_at = now();

-- name: source_alarms
SELECT system, alarm FROM source_state WHERE alarm IS NOT NULL;

-- name: next_epoch
-- Begin the next epoch of a system: what it was at the last check is forgotten, its alarm is over.
INSERT INTO source_state (system, epoch) VALUES (%(system)s, 1)
ON CONFLICT (system) DO UPDATE SET epoch = source_state.epoch + 1,
    system_identifier = NULL, timeline = NULL, slot_lsn = NULL, alarm = NULL, seen_at = now()
RETURNING epoch;

-- name: add_epoch_start
INSERT INTO epoch_start (topic, partition, position, epoch) VALUES (%(topic)s, %(partition)s, %(position)s, %(epoch)s);

-- name: add_epoch_sweep
-- After `after_s` seconds delete what this topic reported before the epoch and has not reported since.
INSERT INTO sweep (topic, epoch, major, minor, next_at)
VALUES (%(topic)s, %(epoch)s, 0, 0, now() + make_interval(secs => %(after_s)s));

-- name: table_shapes
-- The columns of each captured table at the last check: {number: [name, type]}.
SELECT table_name, columns FROM source_columns WHERE system = %(system)s;

-- name: save_table_shape
INSERT INTO source_columns (system, table_name, columns) VALUES (%(system)s, %(table_name)s, %(columns)s)
ON CONFLICT (system, table_name) DO UPDATE SET columns = excluded.columns, seen_at = now();

-- name: add_table_change
INSERT INTO schema_change (system, table_name, kind, what, effect) VALUES (%(system)s, %(table_name)s, %(kind)s, %(what)s, %(effect)s);

-- name: recent_table_changes
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, system, table_name AS table, kind, what, effect
FROM schema_change WHERE at > now() - interval '30 days' ORDER BY id DESC LIMIT 50;

-- name: begin_resync
INSERT INTO source_state (system, resync_at) VALUES (%(system)s, now())
ON CONFLICT (system) DO UPDATE SET resync_at = excluded.resync_at;

-- name: end_resync
UPDATE source_state SET resync_at = NULL WHERE system = %(system)s;

-- name: source_tables
-- Each captured table at the last check.
SELECT table_name, oid, leaves, gap FROM source_table WHERE system = %(system)s;

-- name: save_source_table
INSERT INTO source_table (system, table_name, oid, leaves, gap) VALUES (%(system)s, %(table_name)s, %(oid)s, %(leaves)s, %(gap)s)
ON CONFLICT (system, table_name) DO UPDATE SET oid = excluded.oid, leaves = excluded.leaves, gap = excluded.gap, seen_at = now();

-- name: forget_source_tables
-- Before a new epoch: all tables are read again.
DELETE FROM source_table WHERE system = %(system)s;

-- name: column_types
-- The types of the columns of each captured table: {column: type}.
SELECT system, table_name, columns FROM column_type;

-- name: save_column_types
INSERT INTO column_type (system, table_name, columns) VALUES (%(system)s, %(table_name)s, %(columns)s)
ON CONFLICT (system, table_name) DO UPDATE SET columns = excluded.columns, changed_at = clock_timestamp()
WHERE column_type.columns <> excluded.columns;

-- name: column_types_version
SELECT coalesce(max(changed_at)::text, '') || '/' || count(*)::text AS version FROM column_type;

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

-- name: publication
-- No row without the publication. pubgencols and pubviaroot are read from the row's JSON: older servers do not have them.
SELECT p.puballtables AS has_all_tables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS has_all_changes,
       coalesce((to_jsonb(p)->>'pubviaroot')::boolean, false) AS is_via_root, to_jsonb(p)->>'pubgencols' = 's' AS has_generated
FROM pg_publication p WHERE p.pubname = %(publication)s;

-- name: captured_tables
-- One row for each of these tables that exists, whatever its kind. `leaves`: what holds its rows, the table itself or its partitions.
-- `was_attached`: the partition was made by an earlier transaction than the one that made it a partition, so it may have brought rows.
WITH published AS (
    SELECT c.oid, to_jsonb(p)->'attnames' AS columns, to_jsonb(p)->>'rowfilter' AS row_filter
    FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname = %(publication)s
), wanted AS (
    SELECT c.*, n.nspname || '.' || c.relname AS name, has_schema_privilege(n.oid, 'USAGE') AS may_use_schema
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY(%(tables)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
)
SELECT c.name, c.oid::bigint AS oid, c.relkind::text AS kind, c.relrowsecurity AS has_row_security,
       (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user)
           OR NOT c.relforcerowsecurity AND pg_has_role(c.relowner, 'USAGE') AS bypasses_row_security,
       c.reltuples::bigint AS estimated_rows, c.may_use_schema AND has_table_privilege(c.oid, 'SELECT') AS may_read,
       CASE WHEN EXISTS (SELECT FROM published p WHERE p.oid = c.oid) THEN 'itself'
            WHEN EXISTS (SELECT FROM published p JOIN pg_partition_ancestors(c.oid) a ON a.relid = p.oid) THEN 'root'
            WHEN EXISTS (SELECT FROM published p JOIN pg_partition_tree(c.oid) t ON t.relid = p.oid) THEN 'leaves'
            ELSE '' END AS published_as,
       (SELECT p.row_filter FROM published p WHERE p.oid = c.oid) AS row_filter,
       (SELECT p.columns FROM published p WHERE p.oid = c.oid) AS published_columns,
       (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'generated', a.attgenerated, 'type', format_type(t.oid, NULL),
                                                   'base', b.typname, 'kind', b.typtype, 'item', e.typname, 'item_kind', e.typtype, 'dimensions', a.attndims,
                                                   'may_read', has_column_privilege(c.oid, a.attnum, 'SELECT'))
                                 ORDER BY a.attnum), '[]')
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = (
              WITH RECURSIVE d AS (SELECT t.oid, t.typtype, t.typbasetype UNION ALL  -- a domain may be made of domains
                                   SELECT u.oid, u.typtype, u.typbasetype FROM d JOIN pg_type u ON d.typtype = 'd' AND u.oid = d.typbasetype)
              SELECT d.oid FROM d WHERE d.typtype <> 'd')
          LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(json_agg(json_build_object('name', m.nspname || '.' || l.relname, 'oid', l.oid::bigint, 'kind', l.relkind,
                   'persistence', l.relpersistence, 'identity', l.relreplident, 'was_attached', EXISTS (
                       SELECT FROM pg_attribute a JOIN pg_partition_ancestors(l.oid) p ON true JOIN pg_inherits h ON h.inhrelid = p.relid
                        WHERE a.attrelid = l.oid AND a.attname = 'ctid' AND age(h.xmin) < age(a.xmin)),
                   'identity_columns', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_index i JOIN pg_attribute a ON a.attrelid = l.oid
                                         AND a.attnum = ANY(i.indkey) WHERE i.indrelid = l.oid AND i.indimmediate AND i.indisvalid
                                         AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END))), '[]')
          FROM (SELECT t.relid::oid AS oid FROM pg_partition_tree(c.oid) t WHERE c.relkind = 'p' AND t.isleaf AND t.relid <> c.oid
                UNION ALL SELECT c.oid WHERE c.relkind <> 'p') x
          JOIN pg_class l ON l.oid = x.oid JOIN pg_namespace m ON m.oid = l.relnamespace) AS leaves,
       ARRAY(SELECT h.inhrelid::regclass::text FROM pg_inherits h WHERE h.inhparent = c.oid AND c.relkind = 'r') AS children,
       ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
              WHERE i.indrelid = c.oid AND i.indisprimary) AS primary_key
FROM wanted c;

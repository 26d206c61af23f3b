-- Statements over a Postgres database that is to be captured, run by the role that captures it.

-- name: database_facts
SELECT current_setting('wal_level') AS wal_level,
       current_user::text AS role,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       (SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots)::int AS free_slots,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(slot)s) AS has_slot,
       current_setting('max_slot_wal_keep_size') AS wal_limit,
       EXISTS (SELECT FROM pg_publication_tables
               WHERE pubname = %(publication)s AND schemaname || '.' || tablename = %(signals)s) AS publishes_signals,
       (SELECT count(p.*) > 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_publication_tables p ON p.pubname = %(publication)s AND p.schemaname = n.nspname AND p.tablename = c.relname
         WHERE n.nspname || '.' || c.relname = %(heartbeats)s HAVING count(*) > 0) AS publishes_heartbeats;

-- name: user_tables
-- Tables of the applications, whether the role may read them or not; without partitions, which are part of their table.
SELECT n.nspname || '.' || c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%%'
  AND n.nspname <> 'information_schema' AND c.relname NOT IN ('opshub_heartbeat', 'opshub_signal')
ORDER BY c.relkind IN ('r', 'p') DESC, 1 LIMIT %(most)s;

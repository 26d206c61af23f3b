-- Statements over a Postgres database that is to be captured, run by the role that captures it.

-- name: database_facts
SELECT current_setting('wal_level') AS wal_level,
       current_user::text AS role,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       (SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots)::int AS free_slots,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(slot)s) AS has_slot,
       current_setting('max_slot_wal_keep_size') AS wal_limit,
       (SELECT puballtables FROM pg_publication WHERE pubname = %(publication)s) AS publishes_all,
       EXISTS (SELECT FROM pg_publication_tables
               WHERE pubname = %(publication)s AND schemaname || '.' || tablename = %(signals)s) AS publishes_signals;

-- name: table_facts
-- No row where there is no such table.
SELECT c.relreplident::text AS replica_identity, c.relrowsecurity AS has_row_security, c.reltuples::bigint AS estimated_rows,
       has_table_privilege(c.oid, 'SELECT') AS may_read,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS has_key,
       EXISTS (SELECT FROM pg_publication_tables p
               WHERE p.pubname = %(publication)s AND p.schemaname = n.nspname AND p.tablename = c.relname) AS is_published,
       (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user) AS bypasses_row_security,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(table)s;

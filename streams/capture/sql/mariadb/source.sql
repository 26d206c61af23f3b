-- Statements over a captured MariaDB or MySQL server, run by the user that captures it.

-- name: tables
SELECT concat(table_schema, '.', table_name) AS name, table_type AS kind, coalesce(table_rows, 0) AS estimate, engine
  FROM information_schema.tables WHERE concat(table_schema, '.', table_name) IN %(tables)s;

-- name: columns
-- information_schema shows columns on which the user has some right: SELECT must be among them.
SELECT concat(table_schema, '.', table_name) AS of_table, ordinal_position AS number, column_name AS name,
       column_type AS type, data_type AS base, privileges LIKE '%%select%%' AS may_read
  FROM information_schema.columns WHERE concat(table_schema, '.', table_name) IN %(tables)s ORDER BY 1, 2;

-- name: primary_keys
SELECT concat(table_schema, '.', table_name) AS of_table, column_name AS name FROM information_schema.statistics
 WHERE index_name = 'PRIMARY' AND concat(table_schema, '.', table_name) IN %(tables)s ORDER BY 1, seq_in_index;

-- name: dates_with_default
-- Columns in which Debezium replaces a zero date by the DEFAULT.
SELECT concat(table_schema, '.', table_name) AS of_table, column_name AS name FROM information_schema.columns
 WHERE data_type IN ('date', 'datetime', 'timestamp') AND is_nullable = 'NO' AND column_default IS NOT NULL
   AND concat(table_schema, '.', table_name) IN %(tables)s;

-- name: readers
-- A user sees its own sessions without any right. The connector's snapshot is a session that runs statements.
SELECT command, time AS seconds FROM information_schema.processlist WHERE user = substring_index(current_user(), '@', 1)
   AND id <> connection_id() AND (command LIKE 'Binlog Dump%%' OR command = 'Query');

-- name: variables
SHOW GLOBAL VARIABLES WHERE variable_name IN
    ('version', 'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata', 'log_bin_compress', 'binlog_storage_engine',
     'binlog_expire_logs_seconds', 'expire_logs_days', 'server_id', 'server_uuid', 'server_uid', 'lower_case_table_names', 'hostname',
     'port', 'gtid_binlog_pos', 'binlog_row_value_options', 'binlog_legacy_event_pos');

-- name: grants
SHOW GRANTS;

-- name: binlogs
SHOW BINARY LOGS;

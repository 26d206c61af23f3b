-- Statements over a captured Postgres database, run by the role that captures it.

-- name: column_types
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %(schema)s AND table_name = %(table)s;

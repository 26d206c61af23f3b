-- Statements over a captured Postgres database, run by the role that captures it.

-- name: column_types
-- An array under the name that Postgres has for it: _numeric.
SELECT column_name, CASE data_type WHEN 'ARRAY' THEN udt_name ELSE data_type END AS data_type
  FROM information_schema.columns WHERE table_schema = %(schema)s AND table_name = %(table)s;

-- What a MariaDB or MySQL server has, as its information_schema says. Nothing here writes.

-- name: tables
-- Without `only`: every table that the user may see, but those of the server itself.
SELECT concat(table_schema, '.', table_name) AS name, coalesce(table_rows, 0) AS estimate, table_comment AS comment
  FROM information_schema.tables
 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
   AND (%(everything)s OR concat(table_schema, '.', table_name) IN %(tables)s);

-- name: columns
SELECT concat(table_schema, '.', table_name) AS of_table, column_name AS name, data_type AS type, column_type AS declared,
       is_nullable = 'YES' AS nullable, numeric_precision AS numeric_size, numeric_scale AS scale,
       character_maximum_length AS length, column_comment AS comment, coalesce(collation_name, '') AS collation
  FROM information_schema.columns
 WHERE concat(table_schema, '.', table_name) IN %(tables)s ORDER BY 1, ordinal_position;

-- name: json_columns
-- MariaDB's JSON is a longtext with this check; information_schema names no other difference.
SELECT concat(constraint_schema, '.', table_name) AS of_table, check_clause AS clause
  FROM information_schema.check_constraints
 WHERE lower(check_clause) LIKE 'json\_valid(%%' AND concat(constraint_schema, '.', table_name) IN %(tables)s;

-- name: keys
SELECT concat(table_schema, '.', table_name) AS of_table, index_name AS key_name, column_name AS column_name
  FROM information_schema.statistics
 WHERE non_unique = 0 AND concat(table_schema, '.', table_name) IN %(tables)s ORDER BY 1, 2, seq_in_index;

-- name: foreign_keys
SELECT concat(table_schema, '.', table_name) AS of_table, constraint_name AS key_name, column_name AS column_name,
       concat(referenced_table_schema, '.', referenced_table_name) AS target, referenced_column_name AS target_column
  FROM information_schema.key_column_usage
 WHERE referenced_table_name IS NOT NULL AND concat(table_schema, '.', table_name) IN %(tables)s ORDER BY 1, 2, ordinal_position;

-- What a Postgres database has, as its catalogue says. Nothing here writes.

-- name: tables
-- Tables and partitioned tables, without single partitions and without the tables of Postgres itself.
-- reltuples is -1 for a table that was never analysed.
-- The replica identity of a partitioned table is that of its partitions: Postgres does not look at the root's.
SELECT c.oid, n.nspname || '.' || c.relname,
       CASE WHEN c.relkind = 'p' THEN coalesce(
           (SELECT CASE WHEN bool_and(l.relreplident = 'f') THEN 'f' WHEN bool_or(l.relreplident = 'n') THEN 'n'
                        WHEN bool_or(l.relreplident = 'i') THEN 'i' ELSE 'd' END
              FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf AND t.relid <> c.oid),
           c.relreplident::text) ELSE c.relreplident::text END, greatest(c.reltuples, 0)::bigint,
       coalesce(obj_description(c.oid, 'pg_class'), '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'

-- name: columns
-- An array has the type of its items. Precision and scale of numeric are packed into atttypmod:
-- ((precision << 16) | scale) + 4, see numeric_typmod_precision in src/backend/utils/adt/numeric.c of Postgres.
SELECT a.attrelid, a.attname, format_type(coalesce(nullif(t.typelem, 0), t.oid), NULL), NOT a.attnotnull, t.typcategory = 'A',
       CASE WHEN t.typname IN ('numeric', '_numeric') AND a.atttypmod > 0 THEN ((a.atttypmod - 4) >> 16) & 65535 END,
       CASE WHEN t.typname IN ('numeric', '_numeric') AND a.atttypmod > 0 THEN ((a.atttypmod - 4) & 2047) END,
       coalesce(col_description(a.attrelid, a.attnum), ''),
       (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY(%(tables)s)
 ORDER BY a.attrelid, a.attnum

-- name: unique_keys
-- Primary keys and unique indexes of whole columns: an index with a condition or an expression does not identify a row.
SELECT i.indrelid, i.indisprimary, array_agg(a.attname ORDER BY k.n)
  FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indrelid = ANY(%(tables)s)
 GROUP BY i.indexrelid, i.indrelid, i.indisprimary

-- name: foreign_keys
SELECT c.conrelid, n.nspname || '.' || r.relname,
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE c.contype = 'f' AND c.conrelid = ANY(%(tables)s)

-- What a Postgres database has, as its catalogue says. Nothing here writes.

-- name: tables
-- Tables and partitioned tables, without single partitions and without the tables of Postgres itself.
-- reltuples is -1 for a table that was never analysed. Pages of values out of line are those of the last VACUUM or ANALYZE:
-- their size now would need a lock.
-- The replica identity of a partitioned table is that of its partitions: Postgres does not look at the root's.
SELECT c.oid, n.nspname || '.' || c.relname,
       CASE WHEN c.relkind = 'p' THEN coalesce(
           (SELECT CASE WHEN bool_and(l.relreplident = 'f') THEN 'f' WHEN bool_or(l.relreplident = 'n') THEN 'n'
                        WHEN bool_or(l.relreplident = 'i') THEN 'i' ELSE 'd' END
              FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf AND t.relid <> c.oid),
           c.relreplident::text) ELSE c.relreplident::text END, greatest(c.reltuples, 0)::bigint,
       coalesce(obj_description(c.oid, 'pg_class'), ''),
       EXISTS (SELECT FROM pg_class p JOIN pg_class toast ON toast.oid = p.reltoastrelid
                WHERE p.oid IN (SELECT c.oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)
                  AND toast.relpages > 0)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
   AND (%(only)s::text[] IS NULL OR n.nspname || '.' || c.relname = ANY(%(only)s))

-- name: columns
-- The type under the name that `streams/mapping/source_types.py` knows: a domain is its base type, an array has the type of
-- its items, an enum is `enum`, a type of an extension has no schema. Money is only read right where it is written as in
-- the US: Debezium removes its commas. bit(1) is a boolean, a longer one is bytes.
-- Precision and scale of numeric are packed into the modifier: ((precision << 16) | scale) + 4, see
-- numeric_typmod_precision in src/backend/utils/adt/numeric.c of Postgres; the length of varchar is the modifier - 4.
SELECT a.attrelid, a.attname,
       CASE WHEN i.typtype = 'e' THEN 'enum'
            WHEN i.typtype = 'd' THEN 'domain ' || i.typname
            WHEN i.typname = 'bit' AND base.modifier > 1 THEN 'bit varying'
            WHEN i.typname = 'money' AND current_setting('lc_monetary') !~ '^(C|POSIX|en_US)'
            THEN 'money of ' || current_setting('lc_monetary')
            WHEN i.typnamespace = 'pg_catalog'::regnamespace THEN format_type(i.oid, NULL)
            ELSE i.typname END,
       NOT a.attnotnull, t.typcategory = 'A' AND t.typelem <> 0,
       CASE WHEN i.typname = 'numeric' AND base.modifier > 0 THEN ((base.modifier - 4) >> 16) & 65535 END,
       CASE WHEN i.typname = 'numeric' AND base.modifier > 0 THEN ((base.modifier - 4) & 2047) END,
       coalesce(col_description(a.attrelid, a.attnum), ''),
       (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = i.oid),
       CASE WHEN i.typname IN ('varchar', 'bpchar') AND base.modifier > 4 THEN base.modifier - 4 END,
       a.attstorage <> 'p',
       coalesce((SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic), '')
  FROM pg_attribute a
  JOIN LATERAL (
       WITH RECURSIVE chain (oid, modifier, depth) AS (
            SELECT a.atttypid, a.atttypmod, 0
             UNION ALL
            SELECT d.typbasetype, d.typtypmod, c.depth + 1
              FROM chain c JOIN pg_type d ON d.oid = c.oid WHERE d.typtype = 'd')
       SELECT oid, modifier FROM chain ORDER BY depth DESC LIMIT 1) base ON true
  JOIN pg_type t ON t.oid = base.oid
  JOIN pg_type i ON i.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
 WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY(%(tables)s)
 ORDER BY a.attrelid, a.attnum

-- name: unique_keys
-- Primary keys and unique indexes of whole columns: an index with a condition or an expression does not identify a row.
SELECT i.indrelid, i.indisprimary, NOT i.indimmediate, array_agg(a.attname ORDER BY k.n)
  FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indrelid = ANY(%(tables)s)
 GROUP BY i.indexrelid, i.indrelid, i.indisprimary, i.indimmediate

-- name: foreign_keys
SELECT c.conrelid, n.nspname || '.' || r.relname,
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE c.contype = 'f' AND c.conrelid = ANY(%(tables)s)

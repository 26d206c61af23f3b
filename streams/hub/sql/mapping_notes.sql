-- name: mapping_notes
-- Values that dictionaries changed or accepted as null, the latest first: of one field, or of the last thirty days where `field` is ''.
SELECT system, table_name AS table, field, kind, count, reason, example,
       to_char(first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since,
       to_char(last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS last
FROM mapping_note WHERE field = %(field)s OR (%(field)s = '' AND last_at > now() - interval '30 days')
ORDER BY last_at DESC, count DESC LIMIT 200;

-- name: mark_due
-- Something changed in these; each is due so many seconds from now. Whoever waits for rows of this table takes them in the order of kind and
-- id, so that two transactions can not wait for each other.
INSERT INTO due AS d (kind, id, at, changes)
SELECT kind, id, clock_timestamp() + make_interval(secs => within), 1 FROM unnest(%s::text[], %s::uuid[], %s::float8[]) AS new (kind, id, within)
ORDER BY kind, id
ON CONFLICT (kind, id) DO UPDATE SET at = greatest(d.at, excluded.at), changed_at = excluded.changed_at, changes = d.changes + 1;

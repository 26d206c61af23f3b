-- name: due_refreshes
-- Aggregates that are to be refreshed, the oldest first.
SELECT id, aggregate_id::text, ref::text, entity FROM refresh_due ORDER BY id LIMIT %s;

-- name: delete_refreshes
-- These refreshes were emitted.
DELETE FROM refresh_due WHERE id = ANY(%s);

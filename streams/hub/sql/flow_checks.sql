-- name: overdue_flows
-- Flows that nobody checked when it was time: the worker that changed them is gone.
SELECT id::text FROM due WHERE kind = 'flow' AND at < clock_timestamp() ORDER BY at LIMIT %s;

-- name: flows_with_open_invariants
-- Flows for which a broken rule is recorded.
SELECT DISTINCT aggregate_id::text AS id FROM conflict WHERE kind = 'invariant' AND resolved_at IS NULL;

-- name: subjects_waiting_for_approval
-- Of these records, those with an intent that waits for people.
SELECT DISTINCT subject_id::text AS id FROM intent WHERE subject_id = ANY(%s::uuid[]) AND state = 'waiting';

-- name: resolve_invariants
-- Close the broken rules of these flows that hold again, which are all but the given conflicts.
UPDATE conflict SET resolved_at = now(), outcome = 'over'
WHERE aggregate_id = ANY(%s::uuid[]) AND kind = 'invariant' AND resolved_at IS NULL AND NOT id = ANY(%s::uuid[]);

-- name: flows_checked
-- These flows were checked. Marks that were made before the check are deleted. A flow with `next_us` (µs since 1970) is checked once more
-- then; other workers take it over `within` seconds later. `since` is how many seconds ago the check began: newer changes stay.
WITH checked AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(next_us)s::bigint[]) AS checked (id, next_us)
), postponed AS (
    INSERT INTO due AS d (kind, id, at, changes)
    SELECT 'flow', id, to_timestamp(next_us / 1e6) + make_interval(secs => %(within)s), 1 FROM checked WHERE next_us IS NOT NULL ORDER BY id
    ON CONFLICT (kind, id) DO UPDATE SET at = greatest(d.at, excluded.at)
), done AS (
    SELECT d.id FROM due d JOIN checked USING (id) WHERE d.kind = 'flow' AND checked.next_us IS NULL
    AND d.at < clock_timestamp() + make_interval(secs => %(within)s - %(since)s) ORDER BY d.id FOR UPDATE OF d
)
DELETE FROM due d USING done WHERE d.kind = 'flow' AND d.id = done.id;

-- name: open_alerts
-- Alerts that each sink was sent, and whose end it was not sent yet.
SELECT sink, name, what, remedy, extract(epoch FROM since)::float8 AS since FROM open_alert;

-- name: add_open_alerts
INSERT INTO open_alert (sink, name, what, remedy, since)
SELECT sink, name, what, remedy, to_timestamp(since)
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::float8[]) AS new (sink, name, what, remedy, since)
ON CONFLICT (sink, name) DO NOTHING;

-- name: remove_open_alerts
DELETE FROM open_alert WHERE (sink, name) IN (SELECT * FROM unnest(%s::text[], %s::text[]));

-- name: try_watcher_lock
-- A session lock: Postgres frees it when the watcher's session ends, however it ends.
SELECT pg_try_advisory_lock(%(key)s) AS is_ours;

-- name: pipeline_counts
-- Counts that have an alert threshold: dead letters of the last minute; business rules that do not hold; intents that were
-- given up within a day; intents that wait too long for people, and for their target. What is paused waits for nobody.
SELECT (SELECT count(*) FROM dead_letter WHERE seen_at > now() - interval '1 minute' AND came_as = 'dead')
           AS dead_letters_in_a_minute,
       (SELECT count(*) FROM conflict WHERE kind = 'invariant' AND resolved_at IS NULL) AS broken_invariants,
       (SELECT count(*) FROM intent WHERE state = 'dead' AND done_at > now() - interval '1 day') AS intents_dead,
       (SELECT count(*) FROM intent WHERE state = 'waiting' AND created_at < now() - make_interval(secs => %(waiting_s)s))
           AS intents_waiting,
       (SELECT count(*) FROM intent i WHERE state IN ('planned', 'approved', 'failed', 'delivering')
          AND CASE WHEN failures > 0 THEN created_at ELSE not_before END < now() - make_interval(secs => %(undelivered_s)s)
          AND NOT EXISTS (SELECT FROM writeback_pause p WHERE p.scope IN (i.target, i.rule))) AS intents_undelivered;

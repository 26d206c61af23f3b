-- name: notices
SELECT sink, name, what, remedy, extract(epoch FROM since)::float8 FROM notice;

-- name: add_notices
INSERT INTO notice (sink, name, what, remedy, since)
SELECT sink, name, what, remedy, to_timestamp(since) FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::float8[])
     AS new (sink, name, what, remedy, since)
ON CONFLICT (sink, name) DO NOTHING;

-- name: end_notices
DELETE FROM notice WHERE (sink, name) IN (SELECT * FROM unnest(%s::text[], %s::text[]));

-- name: troubles
-- What is to be held against thresholds: dead letters of the last minute; rules of the business that do not hold; intents given up within a
-- day; those that have waited too long for people, and for their target. What is paused waits for nobody.
SELECT (SELECT count(*) FROM dead_letter WHERE seen_at > now() - interval '1 minute' AND came_as = 'dead') AS dead_a_minute,
       (SELECT count(*) FROM conflict WHERE kind = 'invariant' AND resolved_at IS NULL) AS broken,
       (SELECT count(*) FROM intent WHERE state = 'dead' AND done_at > now() - interval '1 day') AS intents_dead,
       (SELECT count(*) FROM intent WHERE state = 'waiting' AND created_at < now() - make_interval(secs => %(waiting_s)s)) AS intents_waiting,
       (SELECT count(*) FROM intent i WHERE state IN ('planned', 'approved', 'failed', 'delivering')
          AND CASE WHEN failures > 0 THEN created_at ELSE not_before END < now() - make_interval(secs => %(undelivered_s)s)
          AND NOT EXISTS (SELECT FROM writeback_pause p WHERE p.scope IN (i.target, i.rule))) AS intents_undelivered;

-- What flows now: read every two seconds while somebody looks at the overview. Functions: streams/hub/live.py.

-- name: live_topics
-- What came of each raw topic so far and today (UTC), and when last.
SELECT topic, taken, failed, today, extract(epoch FROM clock_timestamp() - counted_at)::float8 AS quiet_s FROM raw_topic ORDER BY topic;

-- name: live_targets
-- Write-back by target: delivered and given up within five minutes, what is on its way (counted up to `most`).
SELECT t.target, coalesce(done.delivered, 0) AS delivered, coalesce(done.given_up, 0) AS given_up,
       (SELECT count(*) FROM (SELECT FROM intent i WHERE i.target = t.target AND i.state IN ('planned', 'approved', 'failed', 'delivering')
                              LIMIT %(most)s) w) AS on_the_way,
       coalesce(done.approvals, 0) AS approvals, a.problem, a.refuses, extract(epoch FROM clock_timestamp() - a.since)::float8 AS away_s, p.reason AS paused
FROM unnest(%(targets)s::text[]) AS t (target)
LEFT JOIN LATERAL (
    SELECT (SELECT count(*) FROM intent i WHERE i.done_at > now() - interval '5 minutes' AND i.target = t.target AND i.state = 'delivered') AS delivered,
           (SELECT count(*) FROM intent i WHERE i.done_at > now() - interval '5 minutes' AND i.target = t.target AND i.state = 'dead') AS given_up,
           (SELECT count(*) FROM (SELECT FROM intent i WHERE i.state = 'waiting' AND i.target = t.target LIMIT %(most)s) w) AS approvals) done ON true
LEFT JOIN target_away a ON a.target = t.target LEFT JOIN writeback_pause p ON p.scope = t.target;

-- name: open_dead_letters_by_topic
-- Records that failed and wait, by topic, counted up to `most` in all.
SELECT topic, count(*) AS records FROM (SELECT topic FROM dead_letter WHERE state IN ('dead', 'parked', 'retry') LIMIT %(most)s) d GROUP BY topic;

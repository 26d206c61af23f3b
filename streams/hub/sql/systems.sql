-- What is paused, how fresh each table is, and which tables are being read once more.

-- name: capture_pauses
SELECT scope, who, reason, at, kept_bytes FROM capture_pause ORDER BY at;

-- name: pause_capture
INSERT INTO capture_pause (scope, who, reason, kept_bytes) VALUES (%(scope)s, %(who)s, %(reason)s, %(kept_bytes)s)
ON CONFLICT (scope) DO UPDATE SET who = excluded.who, reason = excluded.reason;

-- name: resume_capture
DELETE FROM capture_pause WHERE scope = %(scope)s RETURNING scope;

-- name: topic_freshness
-- Of each raw topic: when the last record was counted, and how many were counted today.
SELECT topic, counted_at, today FROM raw_topic;

-- name: dead_letters_by_topic
-- Dead letters that wait, and records that are parked behind them, by topic.
SELECT topic, count(*) FILTER (WHERE state = 'dead') AS dead, count(*) FILTER (WHERE state = 'parked') AS parked
FROM dead_letter WHERE state IN ('dead', 'parked') GROUP BY topic;

-- name: table_gaps
SELECT system, table_name, gap FROM source_table WHERE gap IS NOT NULL;

-- name: add_table_snapshot
INSERT INTO table_snapshot (system, table_name, condition, rows, ends, who)
VALUES (%(system)s, %(table_name)s, %(condition)s, %(rows)s, %(ends)s, %(who)s) RETURNING id;

-- name: table_snapshots
-- Those that run, and those that ended within a week, the newest first.
SELECT id, system, table_name, condition, rows, ends, who, at, ended_at, outcome FROM table_snapshot
WHERE ended_at IS NULL OR ended_at > now() - interval '7 days' ORDER BY id DESC LIMIT 100;

-- name: end_table_snapshot
UPDATE table_snapshot SET ended_at = clock_timestamp(), outcome = %(outcome)s WHERE id = %(id)s AND ended_at IS NULL RETURNING id;

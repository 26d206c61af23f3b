-- Workers that report themselves, and what happened to the installation. Functions: streams/hub/workers.py, streams/hub/timeline.py.

-- name: register_worker
-- A worker that starts; the event of it is written by a trigger.
INSERT INTO worker (name, host, port, pid, version, roles, started_at)
VALUES (%(name)s, %(host)s, %(port)s, %(pid)s, %(version)s, %(roles)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port, pid = excluded.pid, version = excluded.version,
    roles = excluded.roles, started_at = excluded.started_at, seen_at = excluded.started_at, stopped_at = NULL, waiting = NULL,
    lanes = '{}', latency = '{}';

-- name: worker_seen
-- How the worker is now. No row comes back where another process has its name since, or the hub has lost it.
UPDATE worker SET seen_at = clock_timestamp(), waiting = %(waiting)s, lanes = %(lanes)s::jsonb, latency = %(latency)s::jsonb
WHERE name = %(name)s AND pid = %(pid)s AND host = %(host)s AND stopped_at IS NULL RETURNING name;

-- name: worker_stopped
UPDATE worker SET stopped_at = clock_timestamp(), seen_at = clock_timestamp() WHERE name = %(name)s AND pid = %(pid)s AND host = %(host)s AND stopped_at IS NULL;

-- name: workers
-- Workers that were not stopped: those that died, too, for a day.
SELECT name, host, port, pid, version, roles, started_at, seen_at, extract(epoch FROM clock_timestamp() - seen_at)::float8 AS silent_s, waiting, lanes, latency
FROM worker WHERE stopped_at IS NULL AND seen_at > now() - interval '1 day' ORDER BY name;

-- name: installation_events
-- What happened, the newest first; of `kinds` only, between two moments, before the event with the number `before`.
SELECT id, at, kind, what, about, text FROM installation_event
WHERE (%(before)s::bigint IS NULL OR id < %(before)s) AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: pace
-- Samples of lag and throughput between two moments, the oldest first, at most `most`: of more, every n-th.
SELECT at, taken, dead, lag, p50_ms, p99_ms FROM (
    SELECT *, row_number() OVER (ORDER BY at) AS n, count(*) OVER () AS all_of_them FROM pace
    WHERE at >= %(since)s AND at < %(until)s) p
WHERE n %% greatest(1, ceil(all_of_them / %(most)s::float8)::bigint) = 0 OR n = all_of_them ORDER BY at;

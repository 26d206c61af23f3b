-- Bulk work: jobs and their items. Functions: streams/hub/jobs.py.

-- name: create_job
WITH made AS (
    INSERT INTO job (action, wanted, who, reason, total) VALUES (%(action)s, %(wanted)s, %(who)s, %(reason)s, cardinality(%(items)s::text[])) RETURNING id
)
INSERT INTO job_item (job_id, number, item) SELECT made.id, i.number, i.item FROM made, unnest(%(items)s::text[]) WITH ORDINALITY AS i (item, number)
RETURNING job_id AS id;

-- name: lease_job
-- Take the oldest job that nobody works on, for `seconds`.
UPDATE job SET state = 'running', leased_by = %(worker)s, lease_until = now() + make_interval(secs => %(seconds)s), started_at = coalesce(started_at, now())
WHERE id = (SELECT id FROM job WHERE state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now() OR leased_by = %(worker)s)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, action, wanted, who, reason, state, total, done, failed, skipped, problem, cancelled_by, created_at, started_at, ended_at;

-- name: waiting_items
SELECT number, item FROM job_item WHERE job_id = %(id)s AND state = 'waiting' ORDER BY number LIMIT %(limit)s;

-- name: save_outcomes
-- What became of items, and the job's counts; the lease is renewed. No row: the job was cancelled, or another console has it.
WITH outcome AS (
    SELECT * FROM unnest(%(numbers)s::int[], %(states)s::text[], %(details)s::text[]) AS o (number, state, detail)
), mine AS (
    SELECT id FROM job WHERE id = %(id)s AND leased_by = %(worker)s FOR UPDATE
), kept AS (
    UPDATE job_item i SET state = o.state, detail = o.detail, at = clock_timestamp() FROM outcome o, mine
    WHERE i.job_id = mine.id AND i.number = o.number AND i.state = 'waiting' RETURNING i.state
)
UPDATE job SET done = done + (SELECT count(*) FROM kept WHERE state = 'done'), failed = failed + (SELECT count(*) FROM kept WHERE state = 'failed'),
    skipped = skipped + (SELECT count(*) FROM kept WHERE state = 'skipped'), lease_until = now() + make_interval(secs => %(seconds)s)
FROM mine WHERE job.id = mine.id
RETURNING job.id, job.action, job.wanted, job.who, job.reason, job.state, job.total, job.done, job.failed, job.skipped, job.problem, job.cancelled_by,
    job.created_at, job.started_at, job.ended_at;

-- name: end_job
UPDATE job SET state = %(state)s, problem = %(problem)s, ended_at = now(), leased_by = NULL, lease_until = NULL
WHERE id = %(id)s AND state = 'running' AND leased_by = %(worker)s RETURNING id;

-- name: release_job
-- The console ends: another takes over at once.
UPDATE job SET leased_by = NULL, lease_until = NULL WHERE state = 'running' AND leased_by = %(worker)s;

-- name: cancel_job
-- What is done stays done; the items that wait are left alone.
UPDATE job SET state = 'cancelled', cancelled_by = %(who)s, ended_at = now() WHERE id = %(id)s AND state IN ('queued', 'running') RETURNING id;

-- name: jobs
SELECT id, action, wanted, who, reason, state, total, done, failed, skipped, problem, cancelled_by, created_at, started_at, ended_at FROM job
WHERE (%(id)s::bigint IS NULL OR id = %(id)s) AND (%(before)s::bigint IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s;

-- name: job_items
SELECT number, item, state, detail, at FROM job_item
WHERE job_id = %(id)s AND number > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY number LIMIT %(limit)s;

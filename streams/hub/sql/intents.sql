-- Intents from plan to outcome: what assemble plans and the deliverer does. Functions: streams/hub/intents.py.

-- name: plan_intents
-- Add intents that the hub does not have yet, and wake the deliverers. A newer intent of the same rule and subject supersedes those that wait.
-- No intent is added for a field whose value two systems keep overwriting. An intent that was withdrawn, because people took back what had
-- caused it, is planned again when the cause is back.
WITH new AS (
    SELECT * FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
        key text, rule text, target text, entity text, entity_id uuid, aggregate_id uuid, subject_id uuid, customer_id uuid,
        version bigint, cause_us bigint, given jsonb, supersedes boolean, fields text[])
    WHERE NOT EXISTS (SELECT FROM conflict c WHERE c.entity_id = new.entity_id AND c.resolved_at IS NULL AND c.outcome = 'flip_flop'
                        AND c.field = ANY(new.fields))
), superseded AS (
    UPDATE intent i SET state = 'superseded', done_at = clock_timestamp(), problem = 'superseded by a newer intent: ' || new.key
    FROM new
    WHERE (new.supersedes OR i.entity_id = new.entity_id) AND i.rule = new.rule AND i.subject_id = new.subject_id AND i.key <> new.key
      AND i.state IN ('planned', 'waiting', 'approved', 'failed')
    RETURNING i.id
), added AS (
    INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, given)
    SELECT key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, given FROM new
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, cause_us = excluded.cause_us, state = 'planned', reasons = '[]', people = 0, decisions = '[]',
        not_before = now(), expires_at = NULL, problem = NULL, done_at = NULL, not_ready_since = NULL, created_at = clock_timestamp()
    WHERE intent.state = 'superseded' AND EXISTS (SELECT FROM new WHERE new.key = intent.key AND NOT new.supersedes)
    RETURNING id, target, xmax <> 0 AS is_replanned
), logged AS (
    INSERT INTO intent_log (intent_id, who, what) SELECT id, 'opshub', 'superseded' FROM superseded
    UNION ALL SELECT id, 'opshub', 'replanned' FROM added WHERE is_replanned
)
SELECT pg_notify('opshub_intent', target) FROM (SELECT DISTINCT target FROM added) t;

-- name: planned_intents
-- Intents of a target that nobody has decided on yet: deliver, ask people, or shadow mode.
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given, state, reasons,
       decisions, attempts, failures, in_doubt, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s,
       coalesce(extract(epoch FROM clock_timestamp() - not_ready_since), 0)::float8 AS not_ready_s
FROM intent WHERE target = %s AND state = 'planned' ORDER BY id LIMIT %s;

-- name: decide_planned
-- Record the decisions on planned intents. An intent that is not in state `was` any more was decided by somebody else: it is left alone.
WITH decision AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS decision (
        id bigint, was text, state text, reasons jsonb, people integer, problem text, request jsonb, expires_s float8, not_before timestamptz)
), decided AS (
    UPDATE intent i SET state = d.state, reasons = d.reasons, people = d.people, problem = d.problem, request = d.request,
        expires_at = now() + make_interval(secs => d.expires_s), not_before = coalesce(d.not_before, i.not_before),
        done_at = CASE WHEN d.state = 'shadow' THEN clock_timestamp() END
    FROM decision d WHERE i.id = d.id AND i.state = d.was RETURNING i.id, d.state, d.reasons
)
INSERT INTO intent_log (intent_id, who, what, detail) SELECT id, 'opshub', state, reasons FROM decided WHERE state <> 'approved' RETURNING intent_id AS id;

-- name: due_work
-- What there is to do for a target: paused systems and rules; whether anything is planned; seconds until something can be delivered (null when
-- nothing can); whether something is leased; seconds to stay away from the target (null when it answers).
SELECT (SELECT coalesce(array_agg(scope), '{}') FROM writeback_pause) AS paused,
       coalesce(bool_or(state = 'planned'), false) AS has_planned,
       extract(epoch FROM min(CASE state WHEN 'delivering' THEN lease_until WHEN 'planned' THEN NULL ELSE not_before END) - clock_timestamp())::float8 AS due_s,
       coalesce(bool_or(state = 'delivering'), false) AS has_leased,
       (SELECT greatest(0, extract(epoch FROM until - clock_timestamp()))::float8 FROM target_away WHERE target = %(target)s) AS away_s
FROM intent WHERE target = %(target)s AND state IN ('planned', 'approved', 'failed', 'delivering');

-- name: lease_intents
-- Lease what is due. An intent whose lease ran out is taken over. Two intents that write the same subject by one rule are never on their way
-- at once. The time that an intent is not ready counts only while it is tried when it is due (within 5 s): an outage does not count.
UPDATE intent SET state = 'delivering', leased_by = %(deliverer)s, lease_until = clock_timestamp() + %(lease)s, attempts = attempts + 1,
    not_ready_since = CASE WHEN not_before > clock_timestamp() - interval '5 s' THEN not_ready_since END
WHERE id IN (
    SELECT i.id FROM intent i
    WHERE i.target = %(target)s AND i.not_before <= clock_timestamp() AND i.rule <> ALL(%(paused_rules)s)
      AND (i.state IN ('approved', 'failed') OR (i.state = 'delivering' AND i.lease_until < clock_timestamp()))
      AND NOT EXISTS (SELECT FROM intent o WHERE o.subject_id = i.subject_id AND o.rule = i.rule AND o.id <> i.id AND (
          (o.state = 'delivering' AND (o.lease_until >= clock_timestamp() OR i.state <> 'delivering' OR o.id < i.id))
          -- Of several that are due the first goes. If all were leased together and their deliverer died, each would wait for the others for ever.
          OR (i.state <> 'delivering' AND o.state IN ('approved', 'failed') AND o.not_before <= clock_timestamp()
              AND (o.not_before, o.id) < (i.not_before, i.id))))
    ORDER BY i.not_before, i.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given, state, reasons,
          decisions, attempts, failures, in_doubt, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s,
          coalesce(extract(epoch FROM clock_timestamp() - not_ready_since), 0)::float8 AS not_ready_s, sent_at,
          extract(epoch FROM clock_timestamp() - sent_at)::float8 AS sent_s, extract(epoch FROM clock_timestamp() - queued_at)::float8 AS queued_s,
          trace;

-- name: trace_intents
-- Keep the trace context of these aggregates (`contexts`: aggregate -> context) in the intents that their last change caused.
UPDATE intent i SET trace = c.value FROM jsonb_each_text(%(contexts)s::jsonb) c
WHERE i.aggregate_id = c.key::uuid AND i.trace IS NULL AND i.created_at > clock_timestamp() - interval '1 minute';

-- name: retry_waiting
-- Intents that wait for a person only because they were not ready: they are tried again, since they may be ready by now. So are those of
-- `rules` whose record has changed since people were asked: the cause may be gone.
UPDATE intent i SET state = 'approved', version = coalesce((SELECT e.version FROM entity e WHERE e.id = i.entity_id), i.version)
WHERE target = %(target)s AND state = 'waiting'
AND (not_ready_since IS NOT NULL AND not_before <= clock_timestamp()
     OR rule = ANY(%(rules)s) AND EXISTS (SELECT FROM entity e WHERE e.id = i.entity_id AND e.version > i.version)) RETURNING id;

-- name: keep_leases
-- Extend the leases that this deliverer still has; an intent that is not returned has another deliverer now. An intent in `sending` is in doubt
-- from now on, and the change that brings back what it writes is an echo: both are recorded before the request leaves.
WITH kept AS (
    UPDATE intent i SET lease_until = clock_timestamp() + %(lease)s, in_doubt = i.in_doubt OR i.id = ANY(%(sending)s::bigint[]),
        sent_at = CASE WHEN i.id = ANY(%(sending)s::bigint[]) THEN clock_timestamp() ELSE i.sent_at END,
        queued_at = CASE WHEN i.id = ANY(%(sending)s::bigint[]) THEN NULL ELSE i.queued_at END
    FROM unnest(%(ids)s::bigint[], %(attempts)s::int[]) AS leased (id, attempts)
    WHERE i.id = leased.id AND i.attempts = leased.attempts AND i.state = 'delivering' AND i.leased_by = %(deliverer)s RETURNING i.id, i.key, i.target
), expected AS (
    INSERT INTO echo_due (intent_id, target, row_id, entity, fields, from_us)
    SELECT kept.id, kept.target, e.row_id, e.entity, e.fields, e.from_us
    FROM kept JOIN jsonb_to_recordset(%(echoes)s::jsonb) AS e (intent_id bigint, row_id uuid, entity text, fields jsonb, from_us bigint) ON e.intent_id = kept.id
    ON CONFLICT (intent_id) DO UPDATE SET row_id = excluded.row_id, fields = excluded.fields, from_us = excluded.from_us, until_us = NULL, tx = NULL
)
SELECT key FROM kept;

-- name: take_over_leases
-- The leases of other deliverers on a target run out now.
UPDATE intent SET lease_until = clock_timestamp() WHERE target = %s AND state = 'delivering' AND leased_by <> %s RETURNING id;

-- name: finish_intents
-- Record the outcomes of leased intents, and add the intents that follow them. Nothing is written for an intent whose lease another took over.
WITH outcome AS (
    SELECT * FROM jsonb_to_recordset(%(outcomes)s::jsonb) AS outcome (
        id bigint, attempts integer, state text, what text, problem text, request jsonb, result jsonb, pause_s float8,
        reasons jsonb, people integer, expires_s float8, follow jsonb, in_doubt boolean,
        not_ready boolean, queued boolean, is_logged boolean, echo jsonb)
), done AS (
    UPDATE intent i SET state = o.state, problem = o.problem, request = coalesce(o.request, i.request), result = coalesce(o.result, i.result),
        not_before = now() + make_interval(secs => o.pause_s), reasons = coalesce(o.reasons, i.reasons), people = coalesce(o.people, i.people),
        expires_at = coalesce(now() + make_interval(secs => o.expires_s), i.expires_at), leased_by = NULL, lease_until = NULL,
        failures = i.failures + (o.state = 'failed')::int, in_doubt = coalesce(o.in_doubt, i.in_doubt),
        queued_at = CASE WHEN o.queued THEN coalesce(i.queued_at, clock_timestamp()) ELSE i.queued_at END,
        not_ready_since = CASE WHEN o.not_ready THEN coalesce(i.not_ready_since, clock_timestamp()) END,
        done_at = CASE WHEN o.state IN ('delivered', 'dead', 'expired', 'superseded') THEN clock_timestamp() END
    FROM outcome o WHERE i.id = o.id AND i.state = 'delivering' AND i.leased_by = %(deliverer)s AND i.attempts = o.attempts
    RETURNING i.id, o.what, o.problem, o.is_logged, o.follow, o.echo
), echoing AS (
    UPDATE echo_due e SET until_us = %(now_us)s::bigint, fields = CASE WHEN e.row_id IS NULL THEN e.fields ELSE coalesce(done.echo, e.fields) END
    FROM done WHERE e.intent_id = done.id AND e.until_us IS NULL
), followed AS (
    INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, given)
    SELECT new.key, new.rule, new.target, new.entity, new.entity_id, new.aggregate_id, new.subject_id, new.customer_id, new.version, new.cause_us, new.given
    FROM done, jsonb_to_recordset(done.follow) AS new (
        key text, rule text, target text, entity text, entity_id uuid, aggregate_id uuid, subject_id uuid, customer_id uuid,
        version bigint, cause_us bigint, given jsonb)
    ON CONFLICT (key) DO NOTHING RETURNING target
), logged AS (
    INSERT INTO intent_log (intent_id, who, what, detail)
    SELECT id, %(deliverer)s, what, jsonb_strip_nulls(jsonb_build_object('problem', problem)) FROM done WHERE is_logged
), woken AS (
    SELECT pg_notify('opshub_intent', target) FROM (SELECT DISTINCT target FROM followed) targets
)
SELECT id, (SELECT count(*) FROM woken) AS woken FROM done;

-- name: last_written
-- The values that a rule last wrote to a subject, as the target had them afterwards.
SELECT w.subject_id::text, w.rule, last.written
FROM unnest(%(subjects)s::uuid[], %(rules)s::text[]) AS w (subject_id, rule), LATERAL (
    SELECT result->'written' AS written FROM intent i
    WHERE i.subject_id = w.subject_id AND i.rule = w.rule AND i.state = 'delivered' ORDER BY done_at DESC LIMIT 1) last;

-- name: expire_intents
-- Intents that nobody decided on in time.
WITH late AS (
    UPDATE intent SET state = 'expired', done_at = clock_timestamp(), problem = 'nobody approved or rejected it in time'
    WHERE state = 'waiting' AND expires_at < now() RETURNING id
)
INSERT INTO intent_log (intent_id, who, what) SELECT id, 'opshub', 'expired' FROM late RETURNING intent_id AS id;

-- name: stay_away
-- Nothing is sent to a target for so long. Since when is kept while it lasts.
INSERT INTO target_away AS away (target, refuses, problem, until)
VALUES (%(target)s, %(refuses)s, %(problem)s, clock_timestamp() + make_interval(secs => %(pause_s)s))
ON CONFLICT (target) DO UPDATE SET refuses = excluded.refuses, problem = excluded.problem, until = excluded.until,
    since = CASE WHEN away.refuses = excluded.refuses THEN away.since ELSE excluded.since END;

-- name: come_back
-- The target answers again.
DELETE FROM target_away WHERE target = %s;

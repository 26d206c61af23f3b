-- Intents as people see them, and what people do: approve, reject, pause, resume. Functions: streams/hub/intent_review.py.

-- name: intents_in_states
-- Intents in these states, newest first, with the names by which people know their record.
SELECT i.id, i.key, i.rule, i.target, i.entity, i.entity_id::text, i.aggregate_id::text, i.subject_id::text, i.state, i.reasons, i.people, i.decisions,
       i.attempts, i.problem, i.request, i.result, i.created_at, i.expires_at, i.done_at, jsonb_strip_nulls(jsonb_build_object(
           'entity', e.entity, 'number', coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku'),
           'name', e.record->>'name', 'customer', c.record->>'name', 'currency', e.record->>'currency',
           'amount', coalesce(e.record->'amount', e.record->'ordered_amount', e.record->'open_amount'))) AS about
FROM (SELECT * FROM intent WHERE state = ANY(%(states)s) AND (%(rule)s::text IS NULL OR rule = %(rule)s) ORDER BY id DESC LIMIT %(limit)s) i
LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id ORDER BY i.id DESC;

-- name: intent_by_number_or_key
SELECT i.id, i.key, i.rule, i.target, i.entity, i.entity_id::text, i.aggregate_id::text, i.subject_id::text, i.state, i.reasons, i.people, i.decisions,
       i.attempts, i.problem, i.request, i.result, i.created_at, i.expires_at, i.done_at, jsonb_strip_nulls(jsonb_build_object(
           'entity', e.entity, 'number', coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku'),
           'name', e.record->>'name', 'customer', c.record->>'name', 'currency', e.record->>'currency',
           'amount', coalesce(e.record->'amount', e.record->'ordered_amount', e.record->'open_amount'))) AS about
FROM intent i LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id WHERE i.id = %(number)s OR i.key = %(key)s;

-- name: intent_log
SELECT at, who, what, detail FROM intent_log WHERE intent_id = %s ORDER BY id;

-- name: intents_of_aggregate
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, state, reasons, people, decisions, attempts, problem,
       request, result, created_at, expires_at, done_at, '{}'::jsonb AS about
FROM intent WHERE aggregate_id = %s ORDER BY id;

-- name: intent_counts
-- How many intents of each rule are in each state: all counted where there are at most `most`. Else those that wait for their target or for people,
-- or were given up, are counted by their indexes, up to `most`, and the rest is an estimate by the statistics of Postgres, which autovacuum keeps.
WITH few AS MATERIALIZED (SELECT rule, state FROM intent LIMIT %(most)s::bigint + 1),
size AS (SELECT count(*) <= %(most)s::bigint AS is_small FROM few),
unfinished AS MATERIALIZED (
    (SELECT 1 AS queue, rule, state FROM intent WHERE state IN ('planned', 'approved', 'failed', 'delivering') AND NOT (SELECT is_small FROM size) LIMIT %(most)s::bigint)
    UNION ALL (SELECT 2, rule, state FROM intent WHERE state = 'waiting' AND NOT (SELECT is_small FROM size) LIMIT %(most)s::bigint)
    UNION ALL (SELECT 3, rule, state FROM intent WHERE state IN ('dead', 'expired') AND NOT (SELECT is_small FROM size) LIMIT %(most)s::bigint)
), counted AS (
    SELECT rule, state, count(*) AS count, sum(count(*)) OVER (PARTITION BY queue) < %(most)s::bigint AS exact FROM unfinished GROUP BY queue, rule, state
),
estimated AS (
    SELECT most_common_vals[i][1] AS rule, most_common_vals[i][2] AS state,
           (most_common_freqs[i] * (SELECT reltuples FROM pg_class WHERE oid = 'intent'::regclass))::bigint AS count
    FROM pg_stats_ext, generate_subscripts(most_common_freqs, 1) AS i
    WHERE schemaname = current_schema AND statistics_name = 'intent_rule_state' AND NOT (SELECT is_small FROM size)
)
SELECT rule, state, count(*) AS count, true AS exact FROM few WHERE (SELECT is_small FROM size) GROUP BY rule, state
UNION ALL
SELECT rule, state, CASE WHEN c.exact THEN c.count ELSE greatest(c.count, e.count) END, coalesce(c.exact, false)
FROM counted c FULL JOIN estimated e USING (rule, state)
WHERE c.count IS NOT NULL OR e.state NOT IN ('planned', 'approved', 'failed', 'delivering', 'waiting', 'dead', 'expired')
ORDER BY rule, state;

-- name: intent_by_number
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given, state, reasons,
       decisions, attempts, failures, in_doubt, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s,
       coalesce(extract(epoch FROM clock_timestamp() - not_ready_since), 0)::float8 AS not_ready_s
FROM intent WHERE id = %s;

-- name: shadow_intents
-- What shadow mode kept: the newest intent of each rule and subject.
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given, state, reasons,
       decisions, attempts, failures, in_doubt, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s,
       coalesce(extract(epoch FROM clock_timestamp() - not_ready_since), 0)::float8 AS not_ready_s
FROM (SELECT DISTINCT ON (rule, subject_id) * FROM intent WHERE state = 'shadow' AND (%(rule)s::text IS NULL OR rule = %(rule)s)
      ORDER BY rule, subject_id, id DESC) newest
ORDER BY id DESC LIMIT %(limit)s;

-- name: decide_intent
-- A person approves or rejects an intent that waits. It is approved once enough different people, each with an account of their own, approved it;
-- one rejection is enough.
WITH decided AS (
    UPDATE intent SET
        decisions = decisions || jsonb_build_object('who', %(who)s::text, 'account', %(account)s::text, 'what', %(what)s::text, 'why', %(why)s::text,
                                                    'at', now(), 'reasons', reasons),
        state = CASE WHEN %(what)s = 'reject' THEN 'rejected'
                     WHEN (SELECT least(count(DISTINCT yes.who), count(DISTINCT yes.account)) FROM (
                               SELECT d->>'who' AS who, coalesce(d->>'account', d->>'who') AS account FROM jsonb_array_elements(decisions) d
                               WHERE d->>'what' = 'approve' AND d->'reasons' = reasons
                               UNION ALL SELECT %(who)s::text, %(account)s::text) yes) >= people THEN 'approved'
                     ELSE state END,
        done_at = CASE WHEN %(what)s = 'reject' THEN clock_timestamp() END, not_before = now()
    WHERE id = %(id)s AND state = 'waiting' AND (expires_at IS NULL OR expires_at > now()) RETURNING id, state, target
), logged AS (
    INSERT INTO intent_log (intent_id, who, what, detail)
    SELECT id, %(who)s, %(what)s, jsonb_build_object('why', %(why)s::text, 'state', state)
           || CASE WHEN %(account)s::text = %(who)s::text THEN '{}'::jsonb ELSE jsonb_build_object('account', %(account)s::text) END FROM decided
)
SELECT id, state, (SELECT count(*) FROM (SELECT pg_notify('opshub_intent', target)) n) AS woken FROM decided;

-- name: pauses
SELECT scope, who, reason, at FROM writeback_pause;

-- name: pause_scope
INSERT INTO writeback_pause (scope, who, reason) VALUES (%s, %s, %s)
ON CONFLICT (scope) DO UPDATE SET who = excluded.who, reason = excluded.reason, at = now() RETURNING scope;

-- name: resume_scope
-- End a pause, also one that the target asked for: it is tried at once.
WITH resumed AS (DELETE FROM writeback_pause WHERE scope = %(scope)s RETURNING scope),
     back AS (DELETE FROM target_away WHERE target = %(scope)s RETURNING target AS scope)
SELECT scope, (SELECT count(*) FROM (SELECT pg_notify('opshub_intent', '')) n) AS woken FROM (TABLE resumed UNION TABLE back) ended;

-- name: targets_away
-- Targets that do not answer, or refuse everybody.
SELECT target, refuses, problem, since, until FROM target_away ORDER BY target;

-- name: revivable_intents
-- Intents that were given up or that nobody decided on in time, oldest first. None of a number, a target, a rule or a problem: any.
SELECT id, state, target FROM intent
WHERE state IN ('dead', 'expired')
  AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
  AND (%(target)s::text IS NULL OR target = %(target)s) AND (%(rule)s::text IS NULL OR rule = %(rule)s)
  AND (%(problem)s::text IS NULL OR position(lower(%(problem)s) IN lower(problem)) > 0)
ORDER BY id LIMIT %(limit)s;

-- name: revive_intents
-- Plan intents again that were given up. One that was sent is in doubt, so it is looked up first, unless a person knows that it was not done.
WITH revived AS (
    UPDATE intent SET state = 'planned', failures = 0, not_before = now(), done_at = NULL, not_ready_since = NULL, expires_at = NULL,
        in_doubt = NOT %(not_done)s AND (in_doubt OR sent_at IS NOT NULL),
        sent_at = CASE WHEN NOT %(not_done)s THEN sent_at END, queued_at = CASE WHEN NOT %(not_done)s THEN queued_at END
    WHERE id = ANY(%(ids)s::bigint[]) AND state IN ('dead', 'expired') RETURNING id, target
), logged AS (
    INSERT INTO intent_log (intent_id, who, what, detail)
    SELECT id, %(who)s, 'retried', jsonb_build_object('why', %(why)s::text, 'not_done', %(not_done)s::boolean) FROM revived
)
SELECT id, (SELECT count(*) FROM (SELECT pg_notify('opshub_intent', target) FROM (SELECT DISTINCT target FROM revived) t) n) AS woken FROM revived;

-- name: plan_intents
-- Add intents that are not there yet; one that says what its subject is to be now, or what a record gives rise to anew, takes the place of those
-- that wait. Wakes the deliverers.
-- None is added for a field that two systems overwrite each other's value of. One that was withdrawn, since people took back what had given rise
-- to it, begins anew when it is so again.
WITH new AS (
    SELECT * FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
        key text, rule text, target text, entity text, entity_id uuid, aggregate_id uuid, subject_id uuid, customer_id uuid,
        version bigint, cause_us bigint, given jsonb, supersedes boolean, fields text[])
    WHERE NOT EXISTS (SELECT FROM conflict c WHERE c.entity_id = new.entity_id AND c.resolved_at IS NULL AND c.outcome = 'flip_flop'
                        AND c.field = ANY(new.fields))
), gone AS (
    UPDATE intent i SET state = 'superseded', done_at = clock_timestamp(), problem = 'a newer one says what is to be: ' || new.key
    FROM new
    WHERE (new.supersedes OR i.entity_id = new.entity_id) AND i.rule = new.rule AND i.subject_id = new.subject_id AND i.key <> new.key
      AND i.state IN ('planned', 'waiting', 'approved', 'failed')
    RETURNING i.id
), added AS (
    INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, given)
    SELECT key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, given FROM new
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, cause_us = excluded.cause_us, state = 'planned', reasons = '[]', people = 0, decisions = '[]',
        not_before = now(), expires_at = NULL, problem = NULL, done_at = NULL, incomplete_since = NULL, created_at = clock_timestamp()
    WHERE intent.state = 'superseded' AND EXISTS (SELECT FROM new WHERE new.key = intent.key AND NOT new.supersedes)
    RETURNING id, target, xmax <> 0 AS again
), logged AS (
    INSERT INTO intent_log (intent_id, who, what) SELECT id, 'opshub', 'superseded' FROM gone
    UNION ALL SELECT id, 'opshub', 'planned again' FROM added WHERE again
)
SELECT pg_notify('opshub_intent', target) FROM (SELECT DISTINCT target FROM added) t;

-- name: planned_intents
-- Intents of a target for which is not decided yet whether people are asked.
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given,
       state, decisions, attempts, failures, extract(epoch FROM clock_timestamp() - created_at)::float8,
       coalesce(extract(epoch FROM clock_timestamp() - incomplete_since), 0)::float8, unsure
FROM intent WHERE target = %s AND state = 'planned' ORDER BY id LIMIT %s;

-- name: shadow_intents
-- Of what shadow mode kept, the newest of each rule and subject.
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given,
       state, decisions, attempts, failures, extract(epoch FROM clock_timestamp() - created_at)::float8,
       coalesce(extract(epoch FROM clock_timestamp() - incomplete_since), 0)::float8, unsure
FROM (SELECT DISTINCT ON (rule, subject_id) * FROM intent WHERE state = 'shadow' AND (%(rule)s::text IS NULL OR rule = %(rule)s)
      ORDER BY rule, subject_id, id DESC) newest
ORDER BY id DESC LIMIT %(most)s;

-- name: triage_intents
-- Decide on intents that are still undecided.
WITH told AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS told (
        id bigint, was text, state text, reasons jsonb, people integer, problem text, request jsonb, expires_s float8, not_before timestamptz)
), decided AS (
    UPDATE intent i SET state = t.state, reasons = t.reasons, people = t.people, problem = t.problem, request = t.request,
        expires_at = now() + make_interval(secs => t.expires_s), not_before = coalesce(t.not_before, i.not_before),
        done_at = CASE WHEN t.state = 'shadow' THEN clock_timestamp() END
    FROM told t WHERE i.id = t.id AND i.state = t.was RETURNING i.id, t.state, t.reasons
)
INSERT INTO intent_log (intent_id, who, what, detail) SELECT id, 'opshub', state, reasons FROM decided WHERE state <> 'approved' RETURNING intent_id;

-- name: lease_intents
-- Take what is due. One whose deliverer fell silent is taken over; two that write the same subject by one rule are never on their way at once. How long one has been incomplete counts only while it was looked at when it was due.
UPDATE intent SET state = 'delivering', leased_by = %s, lease_until = clock_timestamp() + %s, attempts = attempts + 1,
    incomplete_since = CASE WHEN not_before > clock_timestamp() - interval '5 s' THEN incomplete_since END
WHERE id IN (
    SELECT i.id FROM intent i
    WHERE i.target = %s AND i.not_before <= clock_timestamp() AND i.rule <> ALL(%s)
      AND (i.state IN ('approved', 'failed') OR (i.state = 'delivering' AND i.lease_until < clock_timestamp()))
      AND NOT EXISTS (SELECT FROM intent o WHERE o.subject_id = i.subject_id AND o.rule = i.rule AND o.id <> i.id AND (
          (o.state = 'delivering' AND (o.lease_until >= clock_timestamp() OR i.state <> 'delivering' OR o.id < i.id))
          -- Of several that are due the first goes: taken together, and left by one that died, each would wait for the other for ever.
          OR (i.state <> 'delivering' AND o.state IN ('approved', 'failed') AND o.not_before <= clock_timestamp()
              AND (o.not_before, o.id) < (i.not_before, i.id))))
    ORDER BY i.not_before, i.id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given,
          state, decisions, attempts, failures, extract(epoch FROM clock_timestamp() - created_at)::float8,
          coalesce(extract(epoch FROM clock_timestamp() - incomplete_since), 0)::float8, unsure, reasons;

-- name: look_again
-- What waits for a person only since it was not ready: it may be by now.
UPDATE intent SET state = 'approved'
WHERE target = %s AND state = 'waiting' AND incomplete_since IS NOT NULL AND not_before <= clock_timestamp() RETURNING id;

-- name: keep_leases
-- Longer leases for what is still leased by this deliverer; what is not named in the answer is not its own any more. What is about to be sent may have been
-- done from now on, and the changes that bring it back are echoes.
WITH kept AS (
    UPDATE intent i SET lease_until = clock_timestamp() + %(lease)s, unsure = i.unsure OR i.id = ANY(%(sending)s::bigint[])
    FROM unnest(%(ids)s::bigint[], %(attempts)s::int[]) AS held (id, attempts)
    WHERE i.id = held.id AND i.attempts = held.attempts AND i.state = 'delivering' AND i.leased_by = %(leased_by)s RETURNING i.id, i.key, i.target
), expected AS (
    INSERT INTO echo_due (intent_id, target, row_id, entity, said, from_us)
    SELECT kept.id, kept.target, e.row_id, e.entity, e.said, e.from_us
    FROM kept JOIN jsonb_to_recordset(%(echoes)s::jsonb) AS e (intent_id bigint, row_id uuid, entity text, said jsonb, from_us bigint) ON e.intent_id = kept.id
    ON CONFLICT (intent_id) DO UPDATE SET row_id = excluded.row_id, said = excluded.said, from_us = excluded.from_us, until_us = NULL, tx = NULL
)
SELECT key FROM kept;

-- name: take_over
-- The leases of others on a target run out now.
UPDATE intent SET lease_until = clock_timestamp() WHERE target = %s AND state = 'delivering' AND leased_by <> %s RETURNING id;

-- name: finish_intents
-- What became of leased intents; nothing is written by a deliverer whose lease another took over. Those that follow them are added with it.
WITH told AS (
    SELECT * FROM jsonb_to_recordset(%(told)s::jsonb) AS told (
        id bigint, attempts integer, state text, what text, problem text, request jsonb, result jsonb, pause_s float8,
        reasons jsonb, people integer, expires_s float8, follow jsonb, unsure boolean, echo jsonb)
), done AS (
    UPDATE intent i SET state = t.state, problem = t.problem, request = coalesce(t.request, i.request), result = coalesce(t.result, i.result),
        not_before = now() + make_interval(secs => t.pause_s), reasons = coalesce(t.reasons, i.reasons), people = coalesce(t.people, i.people),
        expires_at = coalesce(now() + make_interval(secs => t.expires_s), i.expires_at), leased_by = NULL, lease_until = NULL,
        failures = i.failures + (t.state = 'failed')::int, unsure = coalesce(t.unsure, i.unsure),
        -- A question with a pause is one that may answer itself.
        incomplete_since = CASE WHEN t.what = 'incomplete' OR (t.state = 'waiting' AND t.pause_s > 0) THEN coalesce(i.incomplete_since, clock_timestamp()) END,
        done_at = CASE WHEN t.state IN ('delivered', 'dead', 'expired', 'superseded') THEN clock_timestamp() END
    FROM told t WHERE i.id = t.id AND i.state = 'delivering' AND i.leased_by = %(leased_by)s AND i.attempts = t.attempts
    RETURNING i.id, t.what, t.problem, t.follow, t.echo
), echoing AS (
    UPDATE echo_due e SET until_us = %(now_us)s::bigint, said = CASE WHEN e.row_id IS NULL THEN e.said ELSE coalesce(done.echo, e.said) END
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
    SELECT id, %(leased_by)s, what, jsonb_strip_nulls(jsonb_build_object('problem', problem)) FROM done WHERE what <> 'put back'
), woken AS (
    SELECT pg_notify('opshub_intent', target) FROM (SELECT DISTINCT target FROM followed) t
)
SELECT id, (SELECT count(*) FROM woken) FROM done;

-- name: last_written
-- What rules last gave subjects, as the target had it afterwards.
SELECT w.subject_id::text, w.rule, last.written
FROM unnest(%s::uuid[], %s::text[]) AS w (subject_id, rule), LATERAL (
    SELECT result->'written' AS written FROM intent i
    WHERE i.subject_id = w.subject_id AND i.rule = w.rule AND i.state = 'delivered' ORDER BY done_at DESC LIMIT 1) last;

-- name: work_of
-- What there is to do for a target: what is paused; whether anything is undecided; seconds until something can be delivered, null when there
-- is nothing; whether something is leased.
SELECT (SELECT coalesce(array_agg(scope), '{}') FROM writeback_pause),
       coalesce(bool_or(state = 'planned'), false),
       extract(epoch FROM min(CASE state WHEN 'delivering' THEN lease_until WHEN 'planned' THEN NULL ELSE not_before END) - clock_timestamp())::float8,
       coalesce(bool_or(state = 'delivering'), false)
FROM intent WHERE target = %s AND state IN ('planned', 'approved', 'failed', 'delivering');

-- name: pauses
SELECT scope, who, reason, at FROM writeback_pause;

-- name: pause
INSERT INTO writeback_pause (scope, who, reason) VALUES (%s, %s, %s)
ON CONFLICT (scope) DO UPDATE SET who = excluded.who, reason = excluded.reason, at = now() RETURNING scope;

-- name: resume
WITH gone AS (DELETE FROM writeback_pause WHERE scope = %s RETURNING scope)
SELECT scope, (SELECT count(*) FROM (SELECT pg_notify('opshub_intent', '')) n) FROM gone;

-- name: expire_intents
-- Questions that nobody answered in time.
WITH late AS (
    UPDATE intent SET state = 'expired', done_at = clock_timestamp(), problem = 'nobody decided in time'
    WHERE state = 'waiting' AND expires_at < now() RETURNING id
)
INSERT INTO intent_log (intent_id, who, what) SELECT id, 'opshub', 'expired' FROM late RETURNING intent_id;

-- name: intents
-- Intents in some states, newest first, with what they are about as people call it.
SELECT i.id, i.key, i.rule, i.target, i.entity, i.entity_id::text, i.aggregate_id::text, i.subject_id::text, i.state, i.reasons, i.people, i.decisions,
       i.attempts, i.problem, i.request, i.result, i.created_at, i.expires_at, i.done_at, jsonb_strip_nulls(jsonb_build_object('entity', e.entity, 'number', coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku'),
           'name', e.record->>'name', 'customer', c.record->>'name', 'currency', e.record->>'currency',
           'amount', coalesce(e.record->'amount', e.record->'ordered_amount', e.record->'open_amount'))) AS about
FROM (SELECT * FROM intent WHERE state = ANY(%s) AND (%s::text IS NULL OR rule = %s) ORDER BY id DESC LIMIT %s) i
LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id ORDER BY i.id DESC;

-- name: intent
SELECT i.id, i.key, i.rule, i.target, i.entity, i.entity_id::text, i.aggregate_id::text, i.subject_id::text, i.state, i.reasons, i.people, i.decisions,
       i.attempts, i.problem, i.request, i.result, i.created_at, i.expires_at, i.done_at, jsonb_strip_nulls(jsonb_build_object('entity', e.entity, 'number', coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku'),
           'name', e.record->>'name', 'customer', c.record->>'name', 'currency', e.record->>'currency',
           'amount', coalesce(e.record->'amount', e.record->'ordered_amount', e.record->'open_amount'))) AS about
FROM intent i LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id WHERE i.id = %s OR i.key = %s;

-- name: intent_work
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, customer_id::text, version, cause_us, given,
       state, decisions, attempts, failures, extract(epoch FROM clock_timestamp() - created_at)::float8,
       coalesce(extract(epoch FROM clock_timestamp() - incomplete_since), 0)::float8, unsure
FROM intent WHERE id = %s;

-- name: intents_of_aggregate
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, state, reasons, people, decisions, attempts, problem,
       request, result, created_at, expires_at, done_at
FROM intent WHERE aggregate_id = %s ORDER BY id;

-- name: intent_log
SELECT at, who, what, detail FROM intent_log WHERE intent_id = %s ORDER BY id;

-- name: decide
-- A person says yes or no to an intent that waits. Enough different people saying yes, each by an account of their own, approve it; one no rejects it.
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
SELECT id, state, (SELECT count(*) FROM (SELECT pg_notify('opshub_intent', target)) n) FROM decided;

-- name: on_order
-- What each of these customers has ordered and was not invoiced yet, by currency: (intent, currency, amount, without tax). That is what their live orders
-- say beyond their invoices, and what intents of the same rule are about that have no order yet: those that were delivered, and those that come first.
WITH RECURSIVE asked AS (
    SELECT i.id, i.rule, i.customer_id, i.aggregate_id, w.field FROM unnest(%s::bigint[], %s::text[]) AS w (id, field) JOIN intent i USING (id)
), name AS (
    SELECT DISTINCT customer_id AS customer, customer_id AS ref FROM asked
    UNION SELECT name.customer, s.source_id FROM name JOIN identity s ON s.target = name.ref AND s.same AND s.source_id <> s.target
), flow AS (
    SELECT DISTINCT name.customer, e.aggregate_id FROM name JOIN entity e ON e.customer_ref = name.ref
    WHERE e.entity = 'sales_order' AND NOT e.deleted AND e.merged_into IS NULL AND coalesce(e.record->>'status', '') NOT IN ('cancelled', 'closed')
), ordered AS (
    SELECT flow.customer, flow.aggregate_id, f.record->>'currency' AS currency,
           coalesce((f.record->>'ordered_amount')::bigint, 0) - coalesce((f.record->>'invoiced_amount')::bigint, 0) AS amount
    FROM flow JOIN entity f ON f.aggregate_id = flow.aggregate_id AND f.entity = 'order_flow' AND NOT f.deleted
), found AS (
    SELECT asked.id, o.currency, o.amount FROM asked JOIN ordered o ON o.customer = asked.customer_id AND o.aggregate_id <> asked.aggregate_id
    WHERE o.amount > 0
    UNION ALL
    SELECT asked.id, e.record->>'currency', coalesce((e.record->>asked.field)::bigint, 0) FROM asked
    JOIN intent o ON o.customer_id = asked.customer_id AND o.rule = asked.rule AND o.aggregate_id <> asked.aggregate_id
     AND ((o.state = 'delivered' AND o.done_at > now() - interval '1 h') OR (o.id < asked.id AND o.state IN ('planned', 'approved', 'delivering', 'failed')))
    JOIN entity e ON e.id = o.entity_id
    WHERE NOT EXISTS (SELECT FROM entity s WHERE s.aggregate_id = o.aggregate_id AND s.entity = 'sales_order')
)
SELECT id, currency, sum(amount)::bigint FROM found GROUP BY id, currency;

-- name: forget_echoes
DELETE FROM echo_due WHERE from_us < extract(epoch FROM now() - interval '1 h') * 1e6;

-- name: claim_echoes
-- Which of these changes are echoes: (source id, transaction). Each request has one, the first change of what it wrote that says just that, at the time of the
-- request, and whatever else its transaction changed. The clocks of hub and target may be `skew` microseconds apart.
WITH new AS (
    SELECT * FROM jsonb_to_recordset(convert_from(%(changes)b, 'UTF8')::jsonb) AS new (
        system text, entity text, row_id uuid, made boolean, tx text, us bigint, fields jsonb, number integer)
), first AS (
    SELECT DISTINCT ON (e.intent_id) e.intent_id, n.tx FROM echo_due e JOIN new n ON n.system = e.target
    WHERE e.tx IS NULL AND n.us >= e.from_us - %(skew)s::bigint AND n.us <= coalesce(e.until_us, n.us) + %(skew)s::bigint
      AND (e.row_id = n.row_id OR (e.row_id IS NULL AND n.made AND n.entity = e.entity)) AND n.fields @> e.said
    ORDER BY e.intent_id, n.number
), claimed AS (
    UPDATE echo_due e SET tx = first.tx FROM first WHERE e.intent_id = first.intent_id AND e.tx IS NULL RETURNING e.target, e.tx
)
SELECT n.row_id::text, n.tx FROM new n
WHERE EXISTS (SELECT FROM claimed c WHERE c.target = n.system AND c.tx = n.tx)
   OR EXISTS (SELECT FROM echo_due e WHERE e.target = n.system AND e.tx = n.tx AND n.us >= e.from_us - %(skew)s::bigint);

-- name: intent_counts
SELECT rule, state, count(*) FROM intent GROUP BY rule, state ORDER BY rule, state;

-- name: entities_by_id
-- These entities, or those that they are only other names of.
SELECT w.id::text, e.id::text, e.entity, e.aggregate_id::text, e.parent_id::text, e.merged_into::text, e.version, e.revision, e.deleted, e.updated_us,
       e.record::text, e.contributions::text
FROM unnest(%s::uuid[]) AS w (id)
JOIN entity n ON n.id = w.id
JOIN entity e ON e.id = coalesce(n.merged_into, n.id);

-- name: lines_of
-- The live lines, of a kind for each, of these entities.
SELECT l.parent_id::text, l.id::text, l.entity, l.aggregate_id::text, l.parent_id::text, l.merged_into::text, l.version, l.revision, l.deleted, l.updated_us,
       l.record::text, l.contributions::text
FROM unnest(%s::uuid[], %s::text[]) AS w (id, kind)
JOIN entity h ON h.id = w.id
JOIN entity l ON l.aggregate_id = h.aggregate_id AND l.parent_id = w.id AND l.entity = w.kind
WHERE NOT l.deleted AND l.merged_into IS NULL AND l.version > 0;

-- name: live_of
-- How many live entities of these kinds an aggregate has.
SELECT count(*) FROM entity WHERE aggregate_id = (SELECT aggregate_id FROM entity WHERE id = %s) AND entity = ANY(%s) AND NOT deleted AND merged_into IS NULL
AND version > 0 AND coalesce(record->>'status', '') <> 'cancelled';

-- name: find_flow
-- Aggregates of the order-to-cash flow with an id, or a document of a number.
SELECT DISTINCT aggregate_id::text FROM entity
WHERE id = %(id)s::uuid OR aggregate_id = %(id)s::uuid
   OR (%(id)s::uuid IS NULL AND entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment') AND record->>'number' = %(what)s);

-- name: flow_members
-- The live documents of an order flow, and the joined record; lines are left out.
SELECT id::text, entity, version, record FROM entity
WHERE aggregate_id = %s AND NOT deleted AND merged_into IS NULL AND version > 0
AND entity IN ('order_flow', 'opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request') ORDER BY entity, id;

-- name: broken_invariants
-- What can not be so, in the whole hub: {what, entity, id, number, says, should}. Money and quantities are unscaled. What single flows break is
-- found by streams/flow/invariants.py, which says the same.
WITH live AS (SELECT id, entity, aggregate_id, parent_id, updated_us, record FROM entity WHERE NOT deleted AND merged_into IS NULL AND version > 0),
document AS (
    SELECT h.id, h.entity, h.record->>'number' AS number, (h.record->>'net_amount')::bigint AS says,
           (sum(coalesce((l.record->>'net_amount')::bigint, 0))
               + coalesce((h.record->>'freight_amount')::bigint, 0) - coalesce((h.record->>'discount_amount')::bigint, 0))::bigint AS should,
           CASE WHEN h.record->>'freight_amount' IS NULL THEN %(header_charges)s::bigint ELSE 0 END AS beyond, 100 * count(*) AS slack
    FROM live h JOIN live l ON l.aggregate_id = h.aggregate_id AND l.parent_id = h.id AND l.entity = 'sales_order_line'
    WHERE h.entity = 'sales_order' GROUP BY h.id, h.entity, h.record
), gone AS (
    SELECT l.id, l.entity, l.parent_id, l.record, (l.record->>'quantity')::bigint AS ordered, sum(coalesce((s.record->>'quantity')::bigint, 0)) AS shipped
    FROM live l JOIN live s ON s.aggregate_id = l.aggregate_id AND s.entity = 'shipment_line' AND s.record->>'order_line_id' = l.id::text
    JOIN live d ON d.id = s.parent_id AND d.record->>'status' IN ('shipped', 'delivered')
    WHERE l.entity = 'sales_order_line' GROUP BY l.id, l.entity, l.parent_id, l.record
), worth AS (
    SELECT parent_id AS id, sum(CASE WHEN coalesce(ordered, 0) = 0 OR shipped <> 0 AND abs(ordered - shipped) <= 100 THEN (record->>'net_amount')::bigint
                                     ELSE round((record->>'net_amount')::numeric * shipped / ordered) END) AS shipped
    FROM gone GROUP BY parent_id
), billed AS (
    SELECT i.parent_id AS id, sum((coalesce((i.record->>'net_amount')::bigint, 0) - coalesce((i.record->>'freight_amount')::bigint, 0)
               + coalesce((i.record->>'discount_amount')::bigint, 0)) * CASE i.record->>'kind' WHEN 'credit_note' THEN -1 ELSE 1 END) AS says
    FROM live i JOIN live h ON h.id = i.parent_id AND h.entity = 'sales_order'
    WHERE i.entity = 'invoice' AND coalesce(i.record->>'status', '') NOT IN ('draft', 'cancelled')
    AND coalesce(i.record->>'currency' = h.record->>'currency', true) GROUP BY i.parent_id
), invoiced AS (
    SELECT h.id, h.entity, h.record->>'number' AS number, coalesce(b.says, 0) AS says, coalesce(w.shipped, 0) AS should, coalesce(d.slack, 100) AS slack,
           greatest(0, coalesce(d.says, 0) - coalesce(d.should, coalesce(d.says, 0))) AS charges
    FROM billed b JOIN live h ON h.id = b.id LEFT JOIN worth w ON w.id = b.id LEFT JOIN document d ON d.id = b.id
), deal AS (
    SELECT o.id, o.entity, o.record->>'number' AS number, o.record->>'stage' AS stage,
           (SELECT count(*) FROM live s WHERE s.aggregate_id = o.aggregate_id AND s.entity = 'sales_order'
               AND coalesce(s.record->>'status', '') <> 'cancelled' AND (o.record->>'stage' = 'won' OR coalesce(s.record->>'status', '') <> 'draft')) AS says
    FROM live o WHERE o.entity = 'opportunity' AND o.record->>'stage' IN ('won', 'lost')
    AND o.updated_us < (extract(epoch FROM now()) - %(grace)s) * 1000000
)
SELECT 'header is not the sum of its lines' AS what, entity, id::text, number, says, should FROM document
WHERE says IS NULL OR says < should - slack OR says > should + slack + greatest(0, should) * beyond / 100
UNION ALL SELECT 'more was shipped than ordered', entity, id::text, record->>'line_no', shipped, ordered FROM gone WHERE shipped > ordered + 100
UNION ALL SELECT 'a won opportunity has not exactly one order', entity, id::text, number, says, 1 FROM deal d WHERE stage = 'won' AND says <> 1
AND NOT (says = 0 AND EXISTS (SELECT FROM intent i WHERE i.subject_id = d.id AND i.state = 'waiting'))
UNION ALL SELECT 'a lost opportunity has a live order', entity, id::text, number, says, 0 FROM deal WHERE stage = 'lost' AND says > 0
UNION ALL SELECT 'invoiced is not what was shipped', entity, id::text, number, says, should FROM invoiced
WHERE %(invoiced)s <> 'off' AND (says > should + charges + slack OR %(invoiced)s = 'equal' AND says < should - slack)
UNION ALL
SELECT 'a payment without an invoice', p.entity, p.id::text, p.record->>'number', NULL, NULL FROM live p
WHERE p.entity = 'payment' AND NOT EXISTS (SELECT FROM live i WHERE i.entity = 'invoice' AND i.id::text = p.record->>'invoice_id')
LIMIT %(most)s;

-- name: stuck_flows
-- Flows that are in their stage for longer than it may take, the longest first. `limits`: stage -> seconds. One of which people are asked waits for them.
SELECT id, stage, number, (extract(epoch FROM now()) - since / 1e6)::bigint AS since_s FROM (
    SELECT id::text, record->>'stage' AS stage, coalesce(record->>'order_number', record->>'opportunity_number') AS number,
           coalesce((record->>'stage_since')::bigint, updated_us) AS since, l.value::float8 AS most_s, record->>'opportunity_id' AS deal
    FROM entity JOIN jsonb_each_text(%(limits)s::jsonb) l ON l.key = record->>'stage' WHERE entity = 'order_flow' AND NOT deleted) f
WHERE since < (extract(epoch FROM now()) - most_s) * 1000000
AND NOT (stage = 'won' AND EXISTS (SELECT FROM intent i WHERE i.subject_id = f.deal::uuid AND i.state = 'waiting'))
ORDER BY since LIMIT %(most)s;

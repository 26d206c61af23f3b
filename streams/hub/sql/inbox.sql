-- What waits for people: counts, groups, who takes care. Functions: streams/hub/inbox.py.

-- name: inbox_counts
-- How much of each kind waits, snoozed things left out, counted up to `most`; dead letters and given-up intents by their causes.
WITH RECURSIVE cause AS (
    (SELECT cause_id FROM dead_letter WHERE state IN ('dead', 'retry') ORDER BY cause_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.cause_id FROM dead_letter d WHERE d.state IN ('dead', 'retry') AND d.cause_id > cause.cause_id ORDER BY d.cause_id LIMIT 1)
    FROM cause WHERE cause.cause_id IS NOT NULL
), hidden AS (SELECT kind, id FROM inbox_item WHERE snoozed_until > now())
SELECT (SELECT count(*) FROM (SELECT FROM intent i WHERE state = 'waiting' AND (expires_at IS NULL OR expires_at > now())
            AND NOT EXISTS (SELECT FROM hidden h WHERE h.kind = 'approval' AND h.id = i.id::text) LIMIT %(most)s) a) AS approvals,
       (SELECT count(*) FROM (SELECT FROM conflict c WHERE resolved_at IS NULL AND outcome IN ('open', 'flip_flop')
            AND NOT EXISTS (SELECT FROM hidden h WHERE h.kind = 'conflict' AND h.id = c.id::text) LIMIT %(most)s) b) AS conflicts,
       (SELECT count(*) FROM (SELECT FROM possible_match m JOIN entity l ON l.id = m.loser AND l.merged_into IS NULL AND NOT l.deleted
            JOIN entity w ON w.id = m.winner AND w.merged_into IS NULL AND NOT w.deleted
            WHERE NOT EXISTS (SELECT FROM kept_separate k WHERE k.first_id = least(m.loser, m.winner) AND k.second_id = greatest(m.loser, m.winner))
            AND NOT EXISTS (SELECT FROM sent_decision s WHERE s.kind = 'match' AND s.id = m.loser::text || ':' || m.winner::text)
            AND NOT EXISTS (SELECT FROM hidden h WHERE h.kind = 'match' AND h.id = m.loser::text || ':' || m.winner::text) LIMIT %(most)s) c) AS matches,
       (SELECT count(*) FROM (SELECT FROM cause WHERE cause_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM hidden h WHERE h.kind = 'dead_letter_group' AND h.id = cause.cause_id) LIMIT %(most)s) d) AS dead_letters,
       (SELECT count(*) FROM (SELECT FROM intent i WHERE state IN ('dead', 'expired')
            AND NOT EXISTS (SELECT FROM hidden h WHERE h.kind = 'write_back' AND h.id = i.id::text) LIMIT %(most)s) e) AS write_backs;

-- name: dead_letter_groups
-- Dead letters by their cause: how many, since when, an example, and how many records are parked behind them. Most first. Only the newest
-- `looked_at` are looked at.
SELECT g.*, i.assigned_to, i.snoozed_until, (SELECT count(*) FROM inbox_comment m WHERE m.kind = 'dead_letter_group' AND m.id = g.id) AS comments
FROM (SELECT d.cause_id AS id, min(d.topic) AS topic, min(d.stage) AS stage, min(d.class) AS error_class, min(d.cause) AS cause, count(*) AS count,
             count(*) FILTER (WHERE d.state = 'retry') AS retrying, min(d.seen_at) AS first_seen, max(d.seen_at) AS last_seen, min(d.id) AS example,
             coalesce(sum(p.count), 0)::bigint AS parked
      FROM (SELECT * FROM dead_letter WHERE state IN ('dead', 'retry') LIMIT %(looked_at)s) d
      LEFT JOIN (SELECT topic, md5(key) AS key, count(*) FROM dead_letter WHERE state = 'parked' GROUP BY 1, 2) p ON p.topic = d.topic AND p.key = md5(d.key)
      GROUP BY d.cause_id) g
LEFT JOIN inbox_item i ON i.kind = 'dead_letter_group' AND i.id = g.id
WHERE (%(whose)s::text IS NULL OR i.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR i.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(i.snoozed_until > now(), false)))
ORDER BY g.count DESC, g.id;

-- name: dead_letters_of_cause
-- The open dead letters of one cause, those that came first first, after the one with the number `after`.
SELECT id, topic, partition, position AS offset, key, coalesce(edited, value) AS value, edited IS NOT NULL AS is_edited,
       stage, class AS error_class, reason, tried, state, came_as, to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at
FROM dead_letter WHERE cause_id = %(cause_id)s AND state IN ('dead', 'retry') AND id > %(after)s ORDER BY id LIMIT %(limit)s;

-- name: dead_letter_cause_id
SELECT cause_id AS id FROM dead_letter WHERE id = %s;

-- name: write_back_groups
-- Intents that were given up or expired, by rule and problem. Numbers and keys in the problem are left out.
SELECT g.*, i.assigned_to, i.snoozed_until, (SELECT count(*) FROM inbox_comment m WHERE m.kind = 'write_back_group' AND m.id = g.id) AS comments
FROM (SELECT left(md5(concat_ws('|', rule, state, dead_letter_cause(coalesce(problem, '')))), 10) AS id, min(rule) AS rule, min(state) AS state, min(target) AS target,
             dead_letter_cause(coalesce(min(problem), '')) AS problem, count(*) AS count, min(coalesce(done_at, created_at)) AS first_seen,
             max(coalesce(done_at, created_at)) AS last_seen, max(id) AS example, count(*) FILTER (WHERE in_doubt OR sent_at IS NOT NULL) AS in_doubt
      FROM (SELECT * FROM intent WHERE state IN ('dead', 'expired') ORDER BY id DESC LIMIT %(looked_at)s) n
      GROUP BY 1) g
LEFT JOIN inbox_item i ON i.kind = 'write_back_group' AND i.id = g.id
WHERE (%(whose)s::text IS NULL OR i.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR i.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(i.snoozed_until > now(), false)))
ORDER BY g.last_seen DESC, g.id;

-- name: write_backs_of_group
-- The numbers of the intents of one group of `write_back_groups`, the newest first.
SELECT id FROM intent WHERE state IN ('dead', 'expired') AND (%(before)s::bigint IS NULL OR id < %(before)s)
  AND (%(group_id)s::text IS NULL OR left(md5(concat_ws('|', rule, state, dead_letter_cause(coalesce(problem, '')))), 10) = %(group_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: approvals_for_people
-- The numbers of the intents that wait for a decision, those that expire first first.
SELECT i.id FROM intent i LEFT JOIN inbox_item t ON t.kind = 'approval' AND t.id = i.id::text
WHERE i.state = 'waiting' AND (%(rule)s::text IS NULL OR i.rule = %(rule)s) AND (%(reason)s::text IS NULL OR position(lower(%(reason)s) IN lower(i.problem)) > 0)
  AND (%(whose)s::text IS NULL OR t.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR t.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(t.snoozed_until > now(), false)))
  AND (%(after)s::bigint IS NULL OR i.id > %(after)s)
ORDER BY i.id LIMIT %(limit)s;

-- name: intents_by_id
SELECT i.id, i.key, i.rule, i.target, i.entity, i.entity_id::text, i.aggregate_id::text, i.subject_id::text, i.state, i.reasons, i.people, i.decisions,
       i.attempts, i.problem, i.request, i.result, i.created_at, i.expires_at, i.done_at, jsonb_strip_nulls(jsonb_build_object(
           'entity', e.entity, 'number', coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku'),
           'name', e.record->>'name', 'customer', c.record->>'name', 'currency', e.record->>'currency',
           'amount', coalesce(e.record->'amount', e.record->'ordered_amount', e.record->'open_amount'))) AS about
FROM intent i LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id WHERE i.id = ANY(%s);

-- name: conflicts_for_people
-- Conflicts for a list, the newest first: `open` waits for people, `standing` also those that a rule settled, `decided` by people.
SELECT g.id::text AS id, entity, entity_id::text AS entity_id, aggregate_id::text AS aggregate_id, field, g.kind, asserted AS values, winner, rule, outcome, turns,
       to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at,
       to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resolved_at, decided_by, group_id
FROM grouped_conflict g LEFT JOIN inbox_item i ON i.kind = 'conflict' AND i.id = g.id::text
WHERE CASE %(which)s WHEN 'open' THEN resolved_at IS NULL AND outcome IN ('open', 'flip_flop') WHEN 'decided' THEN outcome = 'decided' ELSE resolved_at IS NULL END
  AND (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(conflict_kind)s::text IS NULL OR g.kind = %(conflict_kind)s)
  AND (%(group_id)s::text IS NULL OR group_id = %(group_id)s)
  AND (%(whose)s::text IS NULL OR i.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR i.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(i.snoozed_until > now(), false)))
  AND (%(after)s::uuid IS NULL OR (seen_at, g.id) < (SELECT a.seen_at, a.id FROM conflict a WHERE a.id = %(after)s::uuid))
ORDER BY seen_at DESC, g.id DESC LIMIT %(limit)s;

-- name: conflict_groups_for_people
-- Conflicts by their cause. Only the newest `looked_at` are looked at.
SELECT g.*, i.assigned_to, i.snoozed_until, (SELECT count(*) FROM inbox_comment m WHERE m.kind = 'conflict_group' AND m.id = g.id) AS comments FROM (
    SELECT group_id AS id, kind, entity, subject, systems, rule, winner, outcome, count(*) AS count, min(seen_at) AS first_seen, max(seen_at) AS last_seen,
           (array_agg(id::text ORDER BY seen_at DESC, id))[1] AS latest
    FROM (SELECT * FROM grouped_conflict
          WHERE CASE %(which)s WHEN 'open' THEN resolved_at IS NULL AND outcome IN ('open', 'flip_flop') WHEN 'decided' THEN outcome = 'decided'
                     ELSE resolved_at IS NULL END
            AND (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(conflict_kind)s::text IS NULL OR kind = %(conflict_kind)s)
            AND NOT EXISTS (SELECT FROM inbox_item h WHERE h.kind = 'conflict' AND h.id = grouped_conflict.id::text AND h.snoozed_until > now())
          ORDER BY seen_at DESC, id LIMIT %(looked_at)s) newest
    GROUP BY group_id, kind, entity, subject, systems, rule, winner, outcome) g
LEFT JOIN inbox_item i ON i.kind = 'conflict_group' AND i.id = g.id
WHERE (%(whose)s::text IS NULL OR i.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR i.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(i.snoozed_until > now(), false)))
ORDER BY outcome IN ('open', 'flip_flop') DESC, last_seen DESC, g.id;

-- name: claim_conflict
-- A person decides a conflict that is still as this person saw it; no row: somebody else was faster, or the systems changed it.
UPDATE conflict SET decided_by = %(who)s, turns = 0, resolved_at = CASE WHEN %(release)s THEN now() END,
    outcome = CASE WHEN %(release)s THEN 'over' ELSE 'decided' END
WHERE id = %(id)s AND outcome = %(outcome)s AND decided_by IS NOT DISTINCT FROM %(decided_by)s::text AND to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') IS NOT DISTINCT FROM %(resolved_at)s::text
RETURNING id::text;

-- name: inbox_items
-- Who takes care of these things.
SELECT i.id, i.assigned_to, i.snoozed_until, i.changed_by, i.changed_at FROM inbox_item i WHERE kind = %(kind)s AND id = ANY(%(ids)s);

-- name: assign_item
INSERT INTO inbox_item (kind, id, assigned_to, changed_by) VALUES (%(kind)s, %(id)s, %(to)s, %(who)s)
ON CONFLICT (kind, id) DO UPDATE SET assigned_to = excluded.assigned_to, changed_by = excluded.changed_by, changed_at = clock_timestamp()
RETURNING id;

-- name: snooze_item
INSERT INTO inbox_item (kind, id, snoozed_until, changed_by) VALUES (%(kind)s, %(id)s, %(until)s, %(who)s)
ON CONFLICT (kind, id) DO UPDATE SET snoozed_until = excluded.snoozed_until, changed_by = excluded.changed_by, changed_at = clock_timestamp()
RETURNING id;

-- name: add_comment
INSERT INTO inbox_comment (kind, id, who, text) VALUES (%(kind)s, %(id)s, %(who)s, %(text)s) RETURNING number AS id;

-- name: comments_of
SELECT number, at, who, text FROM inbox_comment WHERE kind = %(kind)s AND id = %(id)s ORDER BY number;

-- name: claim_decision
-- Keep what a person decided and sent. No row: somebody decided it before, and `again` does not say that this is meant.
INSERT INTO sent_decision AS s (kind, id, who, what, expects) VALUES (%(kind)s, %(id)s, %(who)s, %(what)s, %(expects)s)
ON CONFLICT (kind, id) DO UPDATE SET at = clock_timestamp(), who = excluded.who, what = excluded.what, expects = excluded.expects, done_at = NULL
WHERE %(replaces)s::timestamptz IS NOT NULL AND s.at = %(replaces)s
RETURNING id;

-- name: drop_decision
DELETE FROM sent_decision WHERE kind = %(kind)s AND id = %(id)s;

-- name: decision_is_done
UPDATE sent_decision SET done_at = clock_timestamp() WHERE kind = %(kind)s AND id = %(id)s AND done_at IS NULL;

-- name: sent_decisions
SELECT kind, id, at, who, what, expects, done_at FROM sent_decision WHERE kind = %(kind)s AND id = ANY(%(ids)s);

-- name: possible_matches
-- Pairs that may be one, the likeliest first. What people decided, what was merged and what was deleted since is left out.
SELECT m.loser::text AS loser, m.winner::text AS winner, m.entity, m.score, m.reason, l.record->>'name' AS loser_name, w.record->>'name' AS winner_name,
       i.assigned_to, i.snoozed_until
FROM possible_match m JOIN entity l ON l.id = m.loser AND l.merged_into IS NULL AND NOT l.deleted
JOIN entity w ON w.id = m.winner AND w.merged_into IS NULL AND NOT w.deleted
LEFT JOIN inbox_item i ON i.kind = 'match' AND i.id = m.loser::text || ':' || m.winner::text
WHERE NOT EXISTS (SELECT FROM kept_separate k WHERE k.first_id = least(m.loser, m.winner) AND k.second_id = greatest(m.loser, m.winner))
  AND NOT EXISTS (SELECT FROM sent_decision s WHERE s.kind = 'match' AND s.id = m.loser::text || ':' || m.winner::text)
  AND (%(whose)s::text IS NULL OR i.assigned_to = %(whose)s) AND (NOT %(unassigned)s OR i.assigned_to IS NULL)
  AND (%(snoozed)s = (coalesce(i.snoozed_until > now(), false)))
  AND (%(after_score)s::float8 IS NULL OR (m.score, m.loser) < (%(after_score)s, %(after_loser)s::uuid))
ORDER BY m.score DESC, m.loser DESC, m.winner DESC LIMIT %(limit)s;

-- name: decided_matches
-- Pairs that people decided, the newest first.
SELECT s.kind, s.id, s.at, s.who, s.what, s.expects, s.done_at FROM sent_decision s WHERE s.kind = 'match' ORDER BY s.at DESC LIMIT %(limit)s;

-- name: forget_matches
DELETE FROM possible_match;

-- name: add_matches
INSERT INTO possible_match (loser, winner, entity, score, reason) SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::float8[], %s::text[])
ON CONFLICT DO NOTHING;

-- name: searched_matches
INSERT INTO match_search (at, not_compared) VALUES (now(), %s) ON CONFLICT (only_row) DO UPDATE SET at = now(), not_compared = excluded.not_compared;

-- name: last_match_search
SELECT at, not_compared FROM match_search;

-- name: hangs_off
-- What refers to a record under any of its ids, by entity, counted up to 200 of each: order flows with their open amounts, invoices, contacts.
SELECT entity, currency, count(*) AS count, sum(open)::bigint AS open FROM (
    SELECT e.entity, e.record->>'currency' AS currency, coalesce(e.record->'open_amount')::bigint AS open FROM entity e
    WHERE e.customer_ref = ANY(%(ids)s::uuid[]) AND NOT e.deleted AND e.merged_into IS NULL AND e.version > 0 AND e.id <> ALL(%(ids)s::uuid[])
    UNION ALL
    SELECT e.entity, e.record->>'currency', NULL FROM entity e
    WHERE e.aggregate_id = ANY(%(ids)s::uuid[]) AND NOT e.deleted AND e.merged_into IS NULL AND e.version > 0 AND e.id <> ALL(%(ids)s::uuid[]) AND e.customer_ref IS NULL
    LIMIT 5000) r
GROUP BY entity, currency ORDER BY entity, currency;

-- name: open_flows_of
-- Some open order flows that refer to a record.
SELECT e.aggregate_id::text AS id, coalesce(e.record->>'order_number', e.record->>'opportunity_number') AS number, e.record->>'stage' AS stage,
       (e.record->'open_amount')::bigint AS open, e.record->>'currency' AS currency
FROM entity e WHERE e.customer_ref = ANY(%(ids)s::uuid[]) AND e.entity = 'order_flow' AND NOT e.deleted AND e.version > 0 LIMIT %(limit)s;

-- name: restore_conflict
-- A decision could not be sent: the conflict is as it was.
UPDATE conflict SET outcome = %(outcome)s, decided_by = %(decided_by)s, resolved_at = %(resolved_at)s::timestamptz, turns = %(turns)s WHERE id = %(id)s;

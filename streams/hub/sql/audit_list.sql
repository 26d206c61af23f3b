-- Everything that people did, from all places that keep it, the newest first. Function: streams/hub/audit.py.

-- name: audit_lines
-- `kind` and `id` name a line; (at, kind, id) is its place in the list. The older logs of intents, dead letters, records and conflicts
-- are part of it where no deed of the audit says the same.
WITH lines AS (
    (SELECT at, 'deed' AS kind, id::text AS id, who, what, via, about, why, wanted, result, failed FROM audit
     WHERE (%(before)s::timestamptz IS NULL OR (at <= %(before)s AND (at, 'deed', id::text) < (%(before)s, %(before_kind)s::text, %(before_id)s::text)))
       AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
       AND (%(who)s::text IS NULL OR who = %(who)s) AND (%(what)s::text IS NULL OR what = %(what)s) AND (%(via)s::text IS NULL OR via = %(via)s)
       AND (%(about)s::text IS NULL OR about = %(about)s) AND NOT what = ANY(%(hidden)s::text[])
     ORDER BY at DESC, id::text DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT l.at, 'intent', l.id::text, l.who, l.what || '_intent', '', l.intent_id::text, coalesce(l.detail->>'why', ''), '{}', l.detail, NULL FROM intent_log l
     WHERE l.what IN ('approve', 'reject', 'retried')
       AND (%(before)s::timestamptz IS NULL OR (l.at <= %(before)s AND (l.at, 'intent', l.id::text) < (%(before)s, %(before_kind)s::text, %(before_id)s::text)))
       AND (%(since)s::timestamptz IS NULL OR l.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR l.at < %(until)s)
       AND (%(who)s::text IS NULL OR l.who = %(who)s) AND (%(what)s::text IS NULL OR l.what || '_intent' = %(what)s) AND %(via)s::text IS NULL
       AND (%(about)s::text IS NULL OR l.intent_id::text = %(about)s)
       AND NOT EXISTS (SELECT FROM audit a WHERE a.at BETWEEN l.at - interval '1 minute' AND l.at AND (a.who = l.who OR a.wanted->>'by' = l.who)
                       AND (a.about = l.intent_id::text OR a.wanted->'ids' @> to_jsonb(l.intent_id) OR a.result->'ids' @> to_jsonb(l.intent_id)))
     ORDER BY l.at DESC, l.id::text DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT l.at, 'identity', l.id::text, l.who, l.what, '', l.winner::text, l.reason, jsonb_build_object('loser', l.loser, 'winner', l.winner), NULL, NULL FROM identity_log l
     WHERE (%(before)s::timestamptz IS NULL OR (l.at <= %(before)s AND (l.at, 'identity', l.id::text) < (%(before)s, %(before_kind)s::text, %(before_id)s::text)))
       AND (%(since)s::timestamptz IS NULL OR l.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR l.at < %(until)s)
       AND (%(who)s::text IS NULL OR l.who = %(who)s) AND (%(what)s::text IS NULL OR l.what = %(what)s) AND %(via)s::text IS NULL
       AND (%(about)s::text IS NULL OR %(about)s IN (l.loser::text, l.winner::text))
       AND NOT EXISTS (SELECT FROM audit a WHERE a.at BETWEEN l.at - interval '1 minute' AND l.at AND a.who = l.who
                       AND concat(a.wanted, a.result) LIKE ANY (ARRAY['%%' || l.loser || '%%', '%%' || l.winner || '%%']))
     ORDER BY l.at DESC, l.id::text DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT l.at, 'dead_letter', l.id::text, l.who, l.verb || '_dead_letter', '', l.dead_letter_id::text, '', '{}', jsonb_build_object('detail', l.detail), NULL
     FROM dead_letter_audit l
     WHERE (%(before)s::timestamptz IS NULL OR (l.at <= %(before)s AND (l.at, 'dead_letter', l.id::text) < (%(before)s, %(before_kind)s::text, %(before_id)s::text)))
       AND (%(since)s::timestamptz IS NULL OR l.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR l.at < %(until)s)
       AND (%(who)s::text IS NULL OR l.who = %(who)s) AND (%(what)s::text IS NULL OR l.verb || '_dead_letter' = %(what)s) AND %(via)s::text IS NULL
       AND (%(about)s::text IS NULL OR l.dead_letter_id::text = %(about)s)
       AND NOT EXISTS (SELECT FROM audit a WHERE a.at BETWEEN l.at - interval '1 minute' AND l.at AND a.who = l.who
                       AND (a.about = l.dead_letter_id::text OR a.wanted->'ids' @> to_jsonb(l.dead_letter_id) OR a.result->'ids' @> to_jsonb(l.dead_letter_id)))
     ORDER BY l.at DESC, l.id::text DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT l.decided_at, 'conflict', l.id::text, l.decided_by, 'decide_conflict', '', l.entity_id::text, '',
            jsonb_build_object('conflict', l.id, 'entity', l.entity, 'field', l.field), jsonb_build_object('winner', l.winner, 'rule', l.rule), NULL FROM conflict l
     WHERE l.decided_by IS NOT NULL
       AND (%(before)s::timestamptz IS NULL OR (l.decided_at <= %(before)s AND (l.decided_at, 'conflict', l.id::text) < (%(before)s, %(before_kind)s::text, %(before_id)s::text)))
       AND (%(since)s::timestamptz IS NULL OR l.decided_at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR l.decided_at < %(until)s)
       AND (%(who)s::text IS NULL OR l.decided_by = %(who)s) AND (%(what)s::text IS NULL OR 'decide_conflict' = %(what)s) AND %(via)s::text IS NULL
       AND (%(about)s::text IS NULL OR l.entity_id::text = %(about)s OR l.id::text = %(about)s)
       AND NOT EXISTS (SELECT FROM audit a WHERE a.at BETWEEN l.decided_at - interval '1 minute' AND l.decided_at AND a.who = l.decided_by
                       AND (a.about = l.id::text OR concat(a.wanted, a.result) LIKE '%%' || l.id || '%%'))
     ORDER BY l.decided_at DESC, l.id::text DESC LIMIT %(limit)s)
)
SELECT * FROM lines ORDER BY at DESC, kind DESC, id DESC LIMIT %(limit)s;

-- name: trim_audit
WITH allowed AS (SELECT set_config('opshub.audit_retention', 'on', true))
DELETE FROM audit USING allowed WHERE at < now() - make_interval(secs => %(seconds)s) RETURNING audit.id AS id;

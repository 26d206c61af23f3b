-- Conflicts: where systems disagree, and what a person decided.

-- name: log_conflicts
-- New disagreements, and those that came back: id and outcome.
INSERT INTO conflict AS c (id, aggregate_id, entity, entity_id, field, kind, asserted, winner, rule, outcome, turns)
SELECT DISTINCT ON (id) id, aggregate_id, entity, entity_id, field, kind, asserted, winner, rule, outcome, 0
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (id uuid,
    aggregate_id uuid, entity text, entity_id uuid, field text, kind text, asserted jsonb, winner text, rule text, outcome text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    aggregate_id = excluded.aggregate_id, kind = excluded.kind, asserted = excluded.asserted, winner = excluded.winner, rule = excluded.rule,
    outcome = excluded.outcome, turns = 0, resolved_at = NULL
WHERE c.resolved_at IS NOT NULL OR (c.outcome, c.winner, c.rule) IS DISTINCT FROM (excluded.outcome, excluded.winner, excluded.rule)
  AND (c.outcome <> 'flip_flop' OR excluded.outcome = 'decided')
RETURNING id::text, outcome;

-- name: note_turns
-- Edits of fields by people of a target that write-back is to write over, each counted once. Where one field of a record had too many within the
-- window, by the source's clock, two systems overwrite each other: a flip-flop, until a person decides. Id and outcome of those.
WITH new AS (
    SELECT DISTINCT ON (id, target) * FROM jsonb_to_recordset(convert_from(%(turns)b, 'UTF8')::jsonb) AS new (id uuid, aggregate_id uuid, entity text, entity_id uuid,
        field text, kind text, asserted jsonb, winner text, rule text, target text, at_us bigint)
    ORDER BY id, target
), forgotten AS (
    DELETE FROM turn t USING new WHERE t.entity_id = new.entity_id AND t.field = new.field AND t.at_us <= new.at_us - %(window_us)s
), kept AS (
    INSERT INTO turn (entity_id, field, target, at_us) SELECT entity_id, field, target, at_us FROM new ON CONFLICT DO NOTHING
), counted AS (
    SELECT DISTINCT ON (new.id) new.*, 1 + (SELECT count(*) FROM turn t WHERE t.entity_id = new.entity_id AND t.field = new.field AND t.target = new.target
                       AND t.at_us > new.at_us - %(window_us)s AND t.at_us < new.at_us) AS n
    FROM new ORDER BY new.id, n DESC
), below AS (
    UPDATE conflict c SET turns = counted.n FROM counted WHERE c.id = counted.id AND counted.n < %(limit)s
)
INSERT INTO conflict AS c (id, aggregate_id, entity, entity_id, field, kind, asserted, winner, rule, outcome, turns)
SELECT id, aggregate_id, entity, entity_id, field, kind, asserted, winner, rule, 'flip_flop', n FROM counted
WHERE n >= %(limit)s AND NOT EXISTS (SELECT FROM conflict s WHERE s.entity_id = counted.entity_id AND s.field = counted.field
                                     AND s.resolved_at IS NULL AND s.outcome = 'flip_flop')
ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, turns = excluded.turns, asserted = excluded.asserted, resolved_at = NULL
RETURNING id::text, outcome;

-- name: end_conflicts
-- Disagreements of these records that are no more: of those that are another record by now, all. A flip-flop stands until a person says
-- decides.
UPDATE conflict SET resolved_at = now(), outcome = 'over'
WHERE entity_id = ANY(%s::uuid[]) AND NOT id = ANY(%s::uuid[]) AND resolved_at IS NULL AND kind <> 'invariant'
  AND (kind NOT IN ('match_key', 'shared_key', 'reference') AND outcome <> 'flip_flop'
       OR EXISTS (SELECT FROM entity e WHERE e.id = conflict.entity_id AND e.merged_into IS NOT NULL));

-- name: end_references
-- Conflicts over what these records name with `same_as`, but for those that stand.
UPDATE conflict SET resolved_at = now(), outcome = 'over'
WHERE kind = 'reference' AND entity_id = ANY(%s::uuid[]) AND NOT id = ANY(%s::uuid[]) AND resolved_at IS NULL;

-- name: list_conflicts
-- Conflicts that stand, the newest first; with `past` also those that are over or decided. `group_id`: only of the groups that begin so.
SELECT id::text AS id, entity, entity_id::text AS entity_id, aggregate_id::text AS aggregate_id, field, kind, asserted AS values, winner, rule, outcome, turns,
       to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at,
       to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resolved_at, decided_by, group_id
FROM grouped_conflict
WHERE (%(past)s OR resolved_at IS NULL AND outcome <> 'decided')
  AND (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(group_id)s::text IS NULL OR starts_with(group_id, %(group_id)s))
ORDER BY seen_at DESC, id LIMIT %(limit)s;

-- name: conflict_groups
-- Groups of conflicts of one cause, what waits for people first, then the newest; `latest` is the id of the newest conflict of each.
SELECT group_id, kind, entity, subject, systems, rule, winner, outcome, count(*) AS count,
       to_char(min(seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS first_seen_at,
       to_char(max(seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_seen_at,
       (array_agg(id::text ORDER BY seen_at DESC, id))[1] AS latest
FROM grouped_conflict
WHERE (%(past)s OR resolved_at IS NULL AND outcome <> 'decided')
  AND (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
GROUP BY group_id, kind, entity, subject, systems, rule, winner, outcome
ORDER BY outcome IN ('open', 'flip_flop') DESC, max(seen_at) DESC, group_id LIMIT %(limit)s;

-- name: conflicts_by_id
-- Conflicts whose id begins with one of these: two of each at most, since two are one too many. Columns of list_conflicts. The bounds let the
-- index of the primary key find them; what no id begins with has none.
SELECT c.* FROM unnest(%s::text[]) AS prefix CROSS JOIN LATERAL (
    SELECT CASE WHEN prefix ~ '^[0-9a-f-]+$' THEN rpad(left(replace(prefix, '-', ''), 32), 32, '0')::uuid END AS low,
           CASE WHEN prefix ~ '^[0-9a-f-]+$' THEN rpad(left(replace(prefix, '-', ''), 32), 32, 'f')::uuid END AS high) b
CROSS JOIN LATERAL (
SELECT id::text AS id, entity, entity_id::text AS entity_id, aggregate_id::text AS aggregate_id, field, kind, asserted AS values, winner, rule, outcome, turns,
       to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at,
       to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resolved_at, decided_by, group_id
FROM grouped_conflict WHERE id BETWEEN b.low AND b.high AND starts_with(id::text, prefix) LIMIT 2) c;

-- name: decide_conflict
-- A person decided it, or took the decision back (`who` is null). Its turns count from zero, so a flip-flop ends with it.
UPDATE conflict SET decided_by = %(who)s, turns = 0, resolved_at = CASE WHEN %(who)s::text IS NULL THEN now() END,
    outcome = CASE WHEN %(who)s::text IS NULL THEN 'over' ELSE 'decided' END
WHERE id = %(id)s;

-- name: forget_turns
DELETE FROM turn WHERE entity_id = %s AND field = %s;

-- name: decided_value
-- The golden value of a field and the value in a person's contribution; no row while there is no such contribution.
SELECT e.record->%(field)s AS golden, e.contributions->%(contribution)s->7->%(field)s AS decided
FROM entity e WHERE e.id = %(id)s AND e.contributions ? %(contribution)s;

-- name: log_conflicts
-- New disagreements, and those that came back: id and outcome. A turn is taken by an edit of a system that is not the owner, or of two at once;
-- one disagreement that takes too many, each within a day of the last, is a flip-flop.
INSERT INTO conflict AS c (id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, outcome, turns)
SELECT DISTINCT ON (id) id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, outcome,
    (kind IN ('owned_field_changed', 'concurrent_edit'))::int
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (id uuid,
    aggregate_id uuid, entity text, entity_id uuid, field text, kind text, said jsonb, winner text, rule text, outcome text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    aggregate_id = excluded.aggregate_id, kind = excluded.kind, said = excluded.said, winner = excluded.winner, rule = excluded.rule,
    turns = CASE WHEN c.resolved_at IS NULL THEN c.turns WHEN c.resolved_at < now() - interval '1 day' THEN excluded.turns
                 ELSE c.turns + excluded.turns END,
    resolved_at = NULL,
    outcome = CASE WHEN c.resolved_at > now() - interval '1 day' AND excluded.turns = 1 AND c.turns + 1 >= %s
                   THEN 'flip_flop' ELSE excluded.outcome END
WHERE c.resolved_at IS NOT NULL OR (c.outcome, c.winner, c.rule) IS DISTINCT FROM (excluded.outcome, excluded.winner, excluded.rule)
  AND (c.outcome <> 'flip_flop' OR excluded.outcome = 'decided')
RETURNING id::text, outcome;

-- name: end_conflicts
-- Disagreements of these records that are no more. A flip-flop stands until a person says something to it.
UPDATE conflict SET resolved_at = now(), outcome = 'over'
WHERE entity_id = ANY(%s::uuid[]) AND NOT id = ANY(%s::uuid[]) AND resolved_at IS NULL AND kind NOT IN ('match_key', 'invariant') AND outcome <> 'flip_flop';

-- name: claim_keys
-- Who holds each key. `parts` are records that the claimant is known to consist of. A claim of another system's record, whose guard does not
-- differ, joins; the better of the two holds the key from then on.
INSERT INTO match_key AS m (entity, key, holder, rank, systems, guard, linked)
SELECT new.entity, new.key, new.holder, new.rank, new.systems, new.guard, new.parts
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    entity text, key text, holder uuid, rank int, systems text[], guard text, parts uuid[])
WHERE NOT EXISTS (SELECT FROM identity i WHERE i.source_id = new.holder AND i.target = new.holder)
ORDER BY new.entity, new.key
ON CONFLICT (entity, key) DO UPDATE SET
    holder = CASE WHEN m.holder = ANY(excluded.linked) THEN excluded.holder
                  WHEN m.holder <> excluded.holder AND NOT excluded.holder = ANY(m.linked) AND NOT m.systems && excluded.systems
                   AND coalesce(m.guard = excluded.guard, true) AND (excluded.rank, excluded.holder) < (m.rank, m.holder)
                  THEN excluded.holder ELSE m.holder END,
    rank = CASE WHEN m.holder = excluded.holder OR m.holder = ANY(excluded.linked) THEN excluded.rank
                WHEN NOT m.systems && excluded.systems AND coalesce(m.guard = excluded.guard, true) THEN least(m.rank, excluded.rank)
                ELSE m.rank END,
    linked = CASE WHEN m.holder = excluded.holder THEN ARRAY(SELECT unnest(m.linked) UNION SELECT unnest(excluded.linked))
                  WHEN m.holder = ANY(excluded.linked) THEN ARRAY(SELECT unnest(m.linked) UNION SELECT unnest(excluded.linked))
                  WHEN excluded.holder = ANY(m.linked) THEN m.linked
                  WHEN m.systems && excluded.systems OR NOT coalesce(m.guard = excluded.guard, true) THEN m.linked
                  WHEN (excluded.rank, excluded.holder) < (m.rank, m.holder) THEN m.linked || m.holder
                  ELSE m.linked || excluded.holder END,
    systems = CASE WHEN m.holder = excluded.holder OR m.holder = ANY(excluded.linked)
                        OR NOT m.systems && excluded.systems AND coalesce(m.guard = excluded.guard, true)
                   THEN ARRAY(SELECT unnest(m.systems) UNION SELECT unnest(excluded.systems)) ELSE m.systems END,
    guard = coalesce(m.guard, excluded.guard)
RETURNING entity, key, holder::text, linked::text[];

-- name: release_keys
-- Keys that these records no longer have.
DELETE FROM match_key WHERE holder = ANY(%s::uuid[]) AND NOT key = ANY(%s::text[]);

-- name: apart
-- Which of these records a person said to be themselves and nobody else.
SELECT source_id::text FROM identity WHERE source_id = target AND source_id = ANY(%s::uuid[]);

-- name: contested_entities
-- Records of more than one source, in the columns of `all_entities`.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity WHERE merged_into IS NULL AND (SELECT count(*) FROM jsonb_object_keys(contributions)) > 1;

-- name: quality
-- One row for each field of one entity that records have: how many are filled, repeat a value of others, or are disputed.
WITH live AS (
    SELECT id, record FROM entity WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0
), said AS (
    SELECT f.field, count(*) FILTER (WHERE live.record->>f.field <> '') AS complete,
           count(*) FILTER (WHERE f.field = ANY(%(unique)s::text[]) AND live.record->>f.field <> '')
             - count(DISTINCT live.record->>f.field) FILTER (WHERE f.field = ANY(%(unique)s::text[]) AND live.record->>f.field <> '') AS repeated,
           count(*) FILTER (WHERE (%(values)s::jsonb ? f.field) AND live.record->>f.field IS NOT NULL
             AND NOT (%(values)s::jsonb->f.field ? (live.record->>f.field))) AS invalid
    FROM live CROSS JOIN unnest(%(fields)s::text[]) f(field) GROUP BY f.field
), disputed AS (
    SELECT field, count(DISTINCT entity_id) AS n FROM conflict WHERE entity = %(entity)s AND resolved_at IS NULL GROUP BY field
), orphaned AS (
    SELECT r.field, count(*) AS n FROM live CROSS JOIN unnest(%(refs)s::text[]) r(field)
    WHERE live.record->>r.field IS NOT NULL
      AND NOT EXISTS (SELECT FROM entity p WHERE p.id = (live.record->>r.field)::uuid AND p.version > 0 AND NOT p.deleted)
    GROUP BY r.field
)
INSERT INTO quality (at, entity, field, records, complete, invalid, repeated, disagreeing, orphans)
SELECT %(at)s, %(entity)s, said.field, (SELECT count(*) FROM live), said.complete, said.invalid, said.repeated,
       coalesce(disputed.n, 0), coalesce(orphaned.n, 0)
FROM said LEFT JOIN disputed USING (field) LEFT JOIN orphaned USING (field)
RETURNING entity, field, records, complete, invalid, repeated, disagreeing, orphans;

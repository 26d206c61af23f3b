-- name: log_conflicts
-- New disagreements, and those that came back: id and outcome.
INSERT INTO conflict AS c (id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, outcome, turns)
SELECT DISTINCT ON (id) id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, outcome, 0
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (id uuid,
    aggregate_id uuid, entity text, entity_id uuid, field text, kind text, said jsonb, winner text, rule text, outcome text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    aggregate_id = excluded.aggregate_id, kind = excluded.kind, said = excluded.said, winner = excluded.winner, rule = excluded.rule,
    outcome = excluded.outcome, turns = 0, resolved_at = NULL
WHERE c.resolved_at IS NOT NULL OR (c.outcome, c.winner, c.rule) IS DISTINCT FROM (excluded.outcome, excluded.winner, excluded.rule)
  AND (c.outcome <> 'flip_flop' OR excluded.outcome = 'decided')
RETURNING id::text, outcome;

-- name: note_turns
-- Edits of fields by people of a target that write-back is to write over, each counted once. Where one field of a record had too many within the
-- window, by the source's clock, two systems overwrite each other: a flip-flop, until a person says something to it. Id and outcome of those.
WITH new AS (
    SELECT DISTINCT ON (id, target) * FROM jsonb_to_recordset(convert_from(%(turns)b, 'UTF8')::jsonb) AS new (id uuid, aggregate_id uuid, entity text, entity_id uuid,
        field text, kind text, said jsonb, winner text, rule text, target text, at_us bigint)
    ORDER BY id, target
), forgotten AS (
    DELETE FROM turn t USING new WHERE t.entity_id = new.entity_id AND t.field = new.field AND t.at_us <= new.at_us - %(window_us)s
), noted AS (
    INSERT INTO turn (entity_id, field, target, at_us) SELECT entity_id, field, target, at_us FROM new ON CONFLICT DO NOTHING
), counted AS (
    SELECT DISTINCT ON (new.id) new.*, 1 + (SELECT count(*) FROM turn t WHERE t.entity_id = new.entity_id AND t.field = new.field AND t.target = new.target
                       AND t.at_us > new.at_us - %(window_us)s AND t.at_us < new.at_us) AS n
    FROM new ORDER BY new.id, n DESC
), told AS (
    UPDATE conflict c SET turns = counted.n FROM counted WHERE c.id = counted.id AND counted.n < %(limit)s
)
INSERT INTO conflict AS c (id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, outcome, turns)
SELECT id, aggregate_id, entity, entity_id, field, kind, said, winner, rule, 'flip_flop', n FROM counted
WHERE n >= %(limit)s AND NOT EXISTS (SELECT FROM conflict s WHERE s.entity_id = counted.entity_id AND s.field = counted.field
                                     AND s.resolved_at IS NULL AND s.outcome = 'flip_flop')
ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, turns = excluded.turns, said = excluded.said, resolved_at = NULL
RETURNING id::text, outcome;

-- name: end_conflicts
-- Disagreements of these records that are no more: of those that are another record by now, all. A flip-flop stands until a person says
-- something to it.
UPDATE conflict SET resolved_at = now(), outcome = 'over'
WHERE entity_id = ANY(%s::uuid[]) AND NOT id = ANY(%s::uuid[]) AND resolved_at IS NULL AND kind <> 'invariant'
  AND (kind <> 'match_key' AND outcome <> 'flip_flop'
       OR EXISTS (SELECT FROM entity e WHERE e.id = conflict.entity_id AND e.merged_into IS NOT NULL));

-- name: claim_keys
-- Who holds each key. `parts` are records that the claimant is known to consist of. A claim of another system's record, whose guard does not
-- differ, joins; the better of the two holds the key from then on. One that a person told apart from the holder claims nothing.
INSERT INTO match_key AS m (entity, key, holder, rank, systems, guard, linked)
SELECT new.entity, new.key, new.holder, new.rank, new.systems, new.guard, new.parts
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    entity text, key text, holder uuid, rank int, systems text[], guard text, parts uuid[])
WHERE NOT EXISTS (SELECT FROM identity i WHERE i.source_id = new.holder AND i.target = new.holder)
  -- OFFSET 0: by the primary key for each claim, and not by a look through all keys.
  AND NOT EXISTS (SELECT FROM (SELECT holder, linked FROM match_key WHERE entity = new.entity AND key = new.key AND holder <> new.holder OFFSET 0) h
                  JOIN told_apart t ON t.one = ANY(new.parts || new.holder) AND t.other = ANY(h.linked || h.holder)
                                    OR t.other = ANY(new.parts || new.holder) AND t.one = ANY(h.linked || h.holder))
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
    guard = CASE WHEN m.holder = excluded.holder OR m.holder = ANY(excluded.linked) THEN excluded.guard
                 WHEN NOT m.systems && excluded.systems THEN coalesce(m.guard, excluded.guard) ELSE m.guard END
RETURNING entity, key, holder::text, linked::text[];

-- name: release_keys
-- Keys that these records no longer have, or let go to claim them anew.
DELETE FROM match_key m
WHERE holder = ANY(%s::uuid[])
  AND (m.holder, m.key) NOT IN (SELECT holder, key FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb)
                                AS has (holder uuid, key text, anew boolean) WHERE NOT anew)
RETURNING entity, key;

-- name: waiting_claimants
-- (aggregate id, record, entity) of those who claimed these keys, which another had, in the form of what refers to a linked record.
SELECT DISTINCT e.aggregate_id::text, e.id::text, e.entity
FROM unnest(%s::text[], %s::text[]) AS gone (entity, key)
JOIN conflict c ON c.kind = 'match_key' AND c.entity = gone.entity AND c.field = gone.key AND (c.resolved_at IS NULL OR c.outcome = 'decided')
JOIN entity e ON e.id = c.entity_id AND e.merged_into IS NULL;

-- name: end_claims
-- Conflicts of these records over keys that they do not have any more, or that no other holds, or another than was told. `has`: what they have.
UPDATE conflict c SET resolved_at = now(), outcome = 'over'
WHERE c.kind = 'match_key' AND c.resolved_at IS NULL AND c.entity_id = ANY(%s::uuid[])
  AND NOT ((c.entity_id, c.field) IN (SELECT holder, key FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS has (holder uuid, key text))
           AND EXISTS (SELECT FROM match_key m WHERE m.entity = c.entity AND m.key = c.field AND m.holder <> c.entity_id
                       AND NOT c.entity_id = ANY(m.linked) AND m.holder::text = c.said->'holder'->>'value'));

-- name: apart
-- Which of these records a person said to be themselves and nobody else.
SELECT source_id::text FROM identity WHERE source_id = target AND source_id = ANY(%s::uuid[]);

-- name: contested_entities
-- Records of more than one source, in the columns of `all_entities`.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity WHERE merged_into IS NULL AND (SELECT count(*) FROM jsonb_object_keys(contributions)) > 1;

-- name: matched_entities
-- Records of these kinds that may be found by match keys, in the columns of `all_entities`, with the keys that each holds and those that it
-- claimed and another has.
SELECT e.id::text, e.entity, e.aggregate_id::text, e.parent_id::text, e.merged_into::text, e.version, e.revision, e.deleted, e.updated_us,
       e.record::text, e.contributions::text,
       ARRAY(SELECT key FROM match_key m WHERE m.holder = e.id AND m.entity = e.entity),
       ARRAY(SELECT c.field FROM conflict c JOIN match_key m ON m.entity = c.entity AND m.key = c.field
             WHERE c.kind = 'match_key' AND c.entity_id = e.id AND (c.resolved_at IS NULL OR c.outcome = 'decided'))
       || ARRAY(SELECT m.key FROM told_apart t JOIN match_key m ON m.holder = CASE e.id WHEN t.one THEN t.other ELSE t.one END
                WHERE e.id IN (t.one, t.other))
FROM entity e WHERE e.entity = ANY(%s) AND e.merged_into IS NULL AND NOT e.deleted AND e.version > 0
AND NOT EXISTS (SELECT FROM identity i WHERE i.source_id = e.id AND i.target = e.id);

-- Match keys: by what two records are known to be one, and who holds each key.

-- name: claim_keys
-- Who holds each key. `parts` are records that the claimant is known to consist of. A claim of another system's record, whose guard does not
-- differ, joins; the better of the two holds the key from then on. A record that a person keeps separate from the holder claims nothing.
INSERT INTO match_key AS m (entity, key, holder, rank, systems, guard, linked)
SELECT new.entity, new.key, new.holder, new.rank, new.systems, new.guard, new.parts
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    entity text, key text, holder uuid, rank int, systems text[], guard text, parts uuid[])
WHERE NOT EXISTS (SELECT FROM identity i WHERE i.source_id = new.holder AND i.target = new.holder)
  -- OFFSET 0: by the primary key for each claim, and not by a look through all keys.
  AND NOT EXISTS (SELECT FROM (SELECT holder, linked FROM match_key WHERE entity = new.entity AND key = new.key AND holder <> new.holder OFFSET 0) h
                  JOIN kept_separate t ON t.first_id = ANY(new.parts || new.holder) AND t.second_id = ANY(h.linked || h.holder)
                                    OR t.second_id = ANY(new.parts || new.holder) AND t.first_id = ANY(h.linked || h.holder))
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
-- Keys that these records no longer have, or let go to claim them again.
DELETE FROM match_key m
WHERE holder = ANY(%s::uuid[])
  AND (m.holder, m.key) NOT IN (SELECT holder, key FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb)
                                AS has (holder uuid, key text, reclaims boolean) WHERE NOT reclaims)
RETURNING entity, key;

-- name: waiting_claimants
-- (aggregate id, record, entity) of those who claimed these keys, which another had, in the form of what refers to a linked record.
SELECT DISTINCT e.aggregate_id::text, e.id::text, e.entity
FROM unnest(%s::text[], %s::text[]) AS gone (entity, key)
JOIN conflict c ON c.kind = 'match_key' AND c.entity = gone.entity AND c.field = gone.key AND (c.resolved_at IS NULL OR c.outcome = 'decided')
JOIN entity e ON e.id = c.entity_id AND e.merged_into IS NULL;

-- name: end_claims
-- Conflicts of these records over keys that they do not have any more, or that no other holds, or another record than the conflict names. `has`: what they have.
UPDATE conflict c SET resolved_at = now(), outcome = 'over'
WHERE c.kind = 'match_key' AND c.resolved_at IS NULL AND c.entity_id = ANY(%s::uuid[])
  AND NOT ((c.entity_id, c.field) IN (SELECT holder, key FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS has (holder uuid, key text))
           AND EXISTS (SELECT FROM match_key m WHERE m.entity = c.entity AND m.key = c.field AND m.holder <> c.entity_id
                       AND NOT c.entity_id = ANY(m.linked) AND m.holder::text = c.asserted->'holder'->>'value'));

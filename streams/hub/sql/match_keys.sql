-- Match keys: by what two records are known to be one, and who holds each key.

-- name: claim_keys
-- Who holds each key. `parts` are records that the claimant is known to consist of. A claim of another system's record, whose guard does not
-- differ, joins; the better of the two holds the key from then on. A record that a person keeps separate from the holder claims nothing. Of a
-- shared key it is only recorded that the claimant carries it.
WITH new AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
        entity text, key text, holder uuid, rank int, systems text[], guard text, parts uuid[])
), carried AS (
    INSERT INTO shared_key_record AS r (entity, key, record_id, systems)
    SELECT entity, key, holder, systems FROM new JOIN shared_key USING (entity, key)
    ON CONFLICT (entity, key, record_id) DO UPDATE SET systems = excluded.systems WHERE r.systems <> excluded.systems
)
INSERT INTO match_key AS m (entity, key, holder, rank, systems, guard, linked)
SELECT new.entity, new.key, new.holder, new.rank, new.systems, new.guard, new.parts
FROM new
WHERE NOT EXISTS (SELECT FROM shared_key s WHERE s.entity = new.entity AND s.key = new.key)
  AND NOT EXISTS (SELECT FROM identity i WHERE i.source_id = new.holder AND i.target = new.holder AND i.waits_for IS DISTINCT FROM new.holder)
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
WITH has AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(convert_from(%(own_keys)b, 'UTF8')::jsonb) AS has (holder uuid, key text, reclaims boolean)
), no_longer_carried AS (
    DELETE FROM shared_key_record WHERE record_id = ANY(%(holders)s::uuid[]) AND (record_id, key) NOT IN (SELECT holder, key FROM has)
)
DELETE FROM match_key m
WHERE holder = ANY(%(holders)s::uuid[]) AND (m.holder, m.key) NOT IN (SELECT holder, key FROM has WHERE NOT reclaims)
RETURNING entity, key;

-- name: share_keys
-- Of these keys, those that more than `most` records carry beside the holder link nothing from now on: the conflicts over them end, the holder
-- gives them up. `carriers`: records of this batch. Returned are the keys, with the holder and the records that a key had linked to it.
WITH new AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(convert_from(%(carriers)b, 'UTF8')::jsonb) AS new (entity text, key text, record_id uuid, systems text[], most int)
), waiting AS MATERIALIZED (
    SELECT c.id, c.entity, c.field AS key, c.entity_id AS record_id, ARRAY(SELECT jsonb_object_keys(c.asserted - 'holder')) AS systems
    FROM conflict c WHERE c.kind = 'match_key' AND c.resolved_at IS NULL AND (c.entity, c.field) IN (SELECT entity, key FROM new)
), shared AS MATERIALIZED (
    SELECT entity, key FROM (SELECT entity, key, record_id, most FROM new
                             UNION ALL SELECT entity, key, record_id, NULL FROM waiting) records
    GROUP BY entity, key HAVING count(DISTINCT record_id) >= min(most)
), made AS (
    INSERT INTO shared_key (entity, key) SELECT entity, key FROM shared ON CONFLICT DO NOTHING
), freed AS (
    DELETE FROM match_key m USING shared WHERE m.entity = shared.entity AND m.key = shared.key
    RETURNING m.entity, m.key, m.holder, m.systems, m.linked
), recorded AS (
    INSERT INTO shared_key_record (entity, key, record_id, systems)
    SELECT DISTINCT ON (entity, key, record_id) entity, key, record_id, systems
    FROM (SELECT entity, key, record_id, systems FROM new UNION ALL SELECT entity, key, record_id, systems FROM waiting
          UNION ALL SELECT entity, key, holder, systems FROM freed) records JOIN shared USING (entity, key)
    ON CONFLICT DO NOTHING
), ended AS (
    UPDATE conflict SET resolved_at = now(), outcome = 'over' FROM waiting JOIN shared USING (entity, key) WHERE conflict.id = waiting.id
)
-- Records that a reference or a person linked are no concern of the key.
SELECT entity, key, freed.holder::text, coalesce((SELECT aggregate_id FROM entity e WHERE e.id = freed.holder), freed.holder)::text AS aggregate_id,
       ARRAY(SELECT source::text FROM unnest(freed.linked) source LEFT JOIN identity i ON i.source_id = source AND i.same
             WHERE i.source_id IS NULL OR i.target <> i.source_id AND i.linked_at = '{0,0,0}'
               AND NOT EXISTS (SELECT FROM identity_log l WHERE l.loser = source AND l.what = 'merge')) AS linked
FROM shared LEFT JOIN freed USING (entity, key);

-- name: free_shared_keys
-- Shared keys that at most one record of each system still carries are keys again, once the records claim them.
WITH freed AS (
    DELETE FROM shared_key k
    WHERE NOT EXISTS (SELECT FROM shared_key_record r CROSS JOIN unnest(r.systems) system WHERE r.entity = k.entity AND r.key = k.key
                      GROUP BY system HAVING count(*) > 1)
    RETURNING entity, key
)
INSERT INTO refresh_due (aggregate_id, ref, entity)
SELECT e.aggregate_id, e.id, e.entity FROM freed JOIN shared_key_record r USING (entity, key) JOIN entity e ON e.id = r.record_id;

-- name: shared_keys
-- Shared keys with the records that carry them: how many of each system.
SELECT k.entity, k.key, to_char(k.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since,
       (SELECT count(*) FROM shared_key_record r WHERE r.entity = k.entity AND r.key = k.key) AS records,
       (SELECT coalesce(jsonb_object_agg(system, n), '{}') FROM (SELECT system, count(*) AS n FROM shared_key_record r CROSS JOIN unnest(r.systems) system
                                               WHERE r.entity = k.entity AND r.key = k.key GROUP BY system) counted) AS systems
FROM shared_key k WHERE %(entities)s::text[] IS NULL OR k.entity = ANY(%(entities)s) ORDER BY records DESC, k.entity, k.key;

-- name: end_shared_key_conflicts
-- A person took out of a record the last one of those that a shared key had linked to it.
UPDATE conflict c SET resolved_at = now(), outcome = 'decided', decided_by = %(who)s
WHERE c.kind = 'shared_key' AND c.resolved_at IS NULL AND c.entity_id = %(record)s
  AND NOT EXISTS (SELECT FROM entity e WHERE e.id = c.entity_id
                  AND e.contributions ?| ARRAY(SELECT jsonb_array_elements_text(c.asserted->'linked'->'value')));

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

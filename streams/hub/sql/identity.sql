-- Identity: which records are one, and what people decided about it.

-- name: known_links
-- Where these records were linked to: to themselves, if a person took them out of another record, or if they wait to be another.
SELECT source_id::text, target::text, same, linked_at, waits_for::text, left_targets::text[] FROM identity WHERE source_id = ANY(%s::uuid[]);

-- name: waiting_references
-- (aggregate id, record, entity) of those who wait to be one of these records.
SELECT i.source_id::text, i.source_id::text, gone.entity
FROM unnest(%s::uuid[], %s::text[]) AS gone (id, entity) JOIN identity i ON i.waits_for = gone.id WHERE i.source_id <> i.waits_for;

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
       || ARRAY(SELECT m.key FROM kept_separate t JOIN match_key m ON m.holder = CASE e.id WHEN t.first_id THEN t.second_id ELSE t.first_id END
                WHERE e.id IN (t.first_id, t.second_id))
       || ARRAY(SELECT r.key FROM shared_key_record r WHERE r.record_id = e.id AND r.entity = e.entity)
FROM entity e WHERE e.entity = ANY(%s) AND e.merged_into IS NULL AND NOT e.deleted AND e.version > 0
AND NOT EXISTS (SELECT FROM identity i WHERE i.source_id = e.id AND i.target = e.id AND i.waits_for IS DISTINCT FROM e.id);

-- name: links_of_ids
-- What each of these source ids was linked to, in the order in which they were given.
SELECT s.id::text AS source_id, i.target::text AS target, (i.source_id = i.target AND i.waits_for IS NULL) IS TRUE AS is_unmerged,
       nullif(i.waits_for, i.source_id)::text AS waits_for
FROM unnest(%s::uuid[]) WITH ORDINALITY s(id, n) LEFT JOIN identity i ON i.source_id = s.id AND i.same ORDER BY s.n;

-- name: entity_by_id
SELECT entity, merged_into::text AS merged_into, aggregate_id::text AS aggregate_id, deleted, record::text AS record, contributions::text AS contributions
FROM entity WHERE id = %s;

-- name: ids_linked_to
-- Other ids that are this record.
SELECT source_id::text FROM identity WHERE same AND target = %s AND source_id <> target ORDER BY 1;

-- name: match_keys_of
SELECT key FROM match_key WHERE holder = %s ORDER BY key;

-- name: decisions_about
-- What people did to a record, under any of its two ids, the oldest first.
SELECT at::text AS at, who, what, loser::text AS loser, winner::text AS winner, reason FROM identity_log
WHERE %(id)s::uuid IN (loser, winner) OR %(canonical)s::uuid IN (loser, winner) ORDER BY at;

-- name: log_decision
INSERT INTO identity_log (who, what, loser, winner, reason) VALUES (%s, %s, %s, %s, %s);

-- name: is_merged
-- Whether `loser` is `winner` now, with these contributions.
SELECT (SELECT merged_into = %(winner)s FROM entity WHERE id = %(loser)s)
   AND (SELECT contributions ?& %(sources)s::text[] FROM entity WHERE id = %(winner)s);

-- name: is_unmerged
-- Whether a record is a record of its own.
SELECT merged_into IS NULL AND aggregate_id = id AND version > 0 AND NOT deleted FROM entity WHERE id = %s;

-- name: aggregate_of
SELECT aggregate_id::text FROM entity WHERE id = %s;

-- name: keep_separate
-- A person said that two records are two.
INSERT INTO kept_separate (first_id, second_id, who, reason) VALUES (%s, %s, %s, %s)
ON CONFLICT (first_id, second_id) DO UPDATE SET who = excluded.who, reason = excluded.reason, at = now();

-- name: forget_kept_separate
DELETE FROM kept_separate
WHERE first_id = ANY(%(left)s::uuid[]) AND second_id = ANY(%(right)s::uuid[]) OR first_id = ANY(%(right)s::uuid[]) AND second_id = ANY(%(left)s::uuid[]);

-- name: end_match_key_conflicts
-- Conflicts over match keys or references between two records that a person said to be two.
UPDATE conflict SET resolved_at = now(), outcome = 'decided', decided_by = %(who)s
WHERE kind IN ('match_key', 'reference') AND resolved_at IS NULL
  AND (entity_id = ANY(%(left)s::uuid[]) AND asserted->'holder'->>'value' = ANY(%(right)s::text[])
       OR entity_id = ANY(%(right)s::uuid[]) AND asserted->'holder'->>'value' = ANY(%(left)s::text[]));

-- name: separate_pairs
SELECT first_id::text, second_id::text FROM kept_separate;

-- name: customers_to_compare
-- Live customers with a name and a place, but for those that a person took out of another record.
SELECT e.id::text AS id, record->>'name' AS name, record->>'tax_id' AS tax_id, lower(coalesce(record->>'billing_postal_code', record->>'billing_city')) AS place,
       record->>'billing_street' AS street, record->>'email' AS email, record->>'phone' AS phone, ARRAY(SELECT jsonb_object_keys(contributions)) AS sources
FROM entity e
WHERE entity = 'customer' AND merged_into IS NULL AND NOT deleted AND version > 0
  AND record->>'name' <> '' AND coalesce(record->>'billing_postal_code', record->>'billing_city') <> ''
  AND NOT EXISTS (SELECT FROM identity i WHERE i.source_id = e.id AND i.target = e.id AND i.waits_for IS DISTINCT FROM e.id);

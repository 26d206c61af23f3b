-- name: load_aggregates
-- All rows of these aggregates.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity WHERE aggregate_id = ANY(%s::uuid[]);

-- name: forwards
-- Where these ids live now, as far as they were linked.
SELECT source_id::text, target::text FROM identity WHERE source_id = ANY(%s::uuid[]);

-- name: same
-- Which of these source ids are the same entity as another.
SELECT source_id::text, target::text FROM identity WHERE same AND source_id = ANY(%s::uuid[]);

-- name: same_since
-- Sameness learnt after a generation, oldest first.
SELECT source_id::text, target::text, generation FROM identity WHERE same AND generation > %s ORDER BY generation;

-- name: homes
-- The aggregates in which these entities live.
SELECT id::text, aggregate_id::text FROM entity WHERE id = ANY(%s::uuid[]);

-- name: share_identity
-- Held by each transaction that uses sameness, so that a link waits for those that did not see it.
SELECT pg_advisory_xact_lock_shared(7365710001);

-- name: own_identity
SELECT pg_advisory_xact_lock(7365710001);

-- name: upsert_entities
-- A row is written only where it is as it was read: of that revision, or not there. The ids that were written come back.
INSERT INTO entity AS e (id, entity, aggregate_id, parent_id, merged_into, customer_ref, version, revision, deleted, updated_us, record, contributions)
SELECT id, entity, aggregate_id, parent_id, merged_into, customer_ref, version, revision, deleted, updated_us, record, contributions
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    id uuid, entity text, aggregate_id uuid, parent_id uuid, merged_into uuid, customer_ref uuid, version bigint, revision bigint,
    deleted boolean, updated_us bigint, record jsonb, contributions jsonb)
ON CONFLICT (id) DO UPDATE SET
    aggregate_id = excluded.aggregate_id, parent_id = excluded.parent_id, merged_into = excluded.merged_into,
    customer_ref = excluded.customer_ref, version = excluded.version, revision = excluded.revision, deleted = excluded.deleted,
    updated_us = excluded.updated_us, record = excluded.record, contributions = excluded.contributions
WHERE e.revision = excluded.revision - 1
RETURNING e.id::text;

-- name: upsert_identity
INSERT INTO identity AS i (source_id, target, same, generation)
SELECT source_id, target, same, nextval('identity_generation')
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (source_id uuid, target uuid, same boolean)
ON CONFLICT (source_id) DO UPDATE SET target = excluded.target, same = excluded.same, generation = excluded.generation
WHERE (i.target, i.same) IS DISTINCT FROM (excluded.target, excluded.same);

-- name: aggregates_that_refer
-- Aggregates with an entity that refers to one of these customers, each with the customer and the kind of entity.
SELECT DISTINCT aggregate_id::text, customer_ref::text, entity FROM entity WHERE customer_ref = ANY(%s::uuid[]);

-- name: upsert_conflicts
INSERT INTO conflict AS c (aggregate_id, entity, entity_id, field, kind, said, winner, rule)
SELECT aggregate_id, entity, entity_id, field, kind, said, winner, rule
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    aggregate_id uuid, entity text, entity_id uuid, field text, kind text, said jsonb, winner text, rule text)
ON CONFLICT (entity_id, field, kind) DO UPDATE SET said = excluded.said, winner = excluded.winner, rule = excluded.rule, seen_at = now()
WHERE c.said IS DISTINCT FROM excluded.said OR c.winner IS DISTINCT FROM excluded.winner;

-- name: dead_letter
INSERT INTO dead_letter (topic, partition, position, key, value, stage, class, reason)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (topic, partition, position) DO UPDATE SET tried = dead_letter.tried + 1, reason = excluded.reason;

-- name: generation
SELECT coalesce(max(generation), 0) FROM identity WHERE same;

-- name: all_entities
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity;

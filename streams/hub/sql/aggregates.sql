-- name: load_aggregates
-- All rows of these aggregates.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text, handed_over
FROM entity WHERE aggregate_id = ANY(%s::uuid[]);

-- name: forwards
-- Where these ids live now, as far as they were linked, and where in its source that was said.
SELECT source_id::text, target::text, linked_at, waits_for::text, left_targets::text[] FROM identity WHERE source_id = ANY(%s::uuid[]);

-- name: same
-- Which of these source ids are the same entity as another, and which those are: each step of each chain.
WITH RECURSIVE chain AS (
    SELECT source_id, target FROM identity WHERE same AND source_id = ANY(%s::uuid[])
    UNION SELECT i.source_id, i.target FROM chain JOIN identity i ON i.source_id = chain.target AND i.same
)
SELECT source_id::text, target::text FROM chain;

-- name: same_since
-- Sameness learnt after a generation, oldest first.
SELECT source_id::text, target::text, generation FROM identity WHERE same AND generation > %s ORDER BY generation;

-- name: homes
-- The aggregates in which these entities live.
SELECT id::text, aggregate_id::text FROM entity WHERE id = ANY(%s::uuid[]);

-- name: order_lines_elsewhere
-- Lines of documents that name an order line of another aggregate: their aggregate, the order line, its aggregate. For pairs that were named
-- (aggregate, order line), and for order lines that are new. LATERAL with OFFSET 0: an index scan for each, also before the first ANALYZE.
SELECT named.home::text, l.id::text, l.aggregate_id::text
FROM unnest(%(homes)s::uuid[], %(named)s::uuid[]) AS named (home, line)
CROSS JOIN LATERAL (SELECT id, aggregate_id FROM entity WHERE id = named.line AND version > 0 OFFSET 0) l
WHERE l.aggregate_id <> named.home
UNION
SELECT d.aggregate_id::text, l.id::text, l.aggregate_id::text FROM unnest(%(new)s::uuid[]) AS new (line)
CROSS JOIN LATERAL (SELECT id, aggregate_id FROM entity WHERE id = new.line OFFSET 0) l
CROSS JOIN LATERAL (SELECT aggregate_id FROM entity WHERE order_line_ref = l.id AND NOT deleted OFFSET 0) d
WHERE d.aggregate_id <> l.aggregate_id;

-- name: take_partitions
-- Whoever asks this writes from now on what is read from these partitions: (topic, partition, fencing token).
INSERT INTO fencing_token AS t (topic, partition, token)
SELECT topic, partition, 1 FROM unnest(%s::text[], %s::int[]) AS taken (topic, partition) ORDER BY topic, partition
ON CONFLICT (topic, partition) DO UPDATE SET token = t.token + 1
RETURNING topic, partition, token;

-- name: partitions_lost
-- Those of these partitions that another took since. No lock: who takes one now reads what is written here, or changes it first.
SELECT topic, partition FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS mine (topic, partition, token)
LEFT JOIN fencing_token t USING (topic, partition) WHERE t.token IS DISTINCT FROM mine.token;

-- name: places
-- Where each of these ids lives, as far as that is known: what it was linked to goes before the aggregate of its row.
SELECT wanted.id::text, coalesce(i.target, e.aggregate_id)::text
FROM unnest(%s::uuid[]) AS wanted (id) LEFT JOIN entity e ON e.id = wanted.id LEFT JOIN identity i ON i.source_id = wanted.id
WHERE i.target IS NOT NULL OR e.id IS NOT NULL;

-- name: share_identity
-- Held by each transaction that uses sameness, so that a link waits for those that did not see it.
SELECT pg_advisory_xact_lock_shared(7365710001);

-- name: own_identity
SELECT pg_advisory_xact_lock(7365710001);

-- name: upsert_entities
-- A row is written only where it is as it was read: of that revision, or not there. The ids that were written come back.
INSERT INTO entity AS e (id, entity, aggregate_id, parent_id, merged_into, customer_ref, product_ref, order_line_ref, version, revision, deleted, updated_us,
    record, contributions, handed_over)
SELECT id, entity, aggregate_id, parent_id, merged_into, customer_ref, product_ref, order_line_ref, version, revision, deleted, updated_us, record, contributions,
    handed_over
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (
    id uuid, entity text, aggregate_id uuid, parent_id uuid, merged_into uuid, customer_ref uuid, product_ref uuid, order_line_ref uuid, version bigint,
    revision bigint, deleted boolean, updated_us bigint, record jsonb, contributions jsonb, handed_over boolean)
ON CONFLICT (id) DO UPDATE SET
    aggregate_id = excluded.aggregate_id, parent_id = excluded.parent_id, merged_into = excluded.merged_into,
    customer_ref = excluded.customer_ref, product_ref = excluded.product_ref, order_line_ref = excluded.order_line_ref,
    version = excluded.version, revision = excluded.revision, deleted = excluded.deleted,
    updated_us = excluded.updated_us, record = excluded.record, contributions = excluded.contributions,
    handed_over = excluded.handed_over
WHERE e.revision = excluded.revision - 1
RETURNING e.id::text;

-- name: circles
-- Which of these links would close a circle: their target is the source already, by other links. And which come from a source, though their
-- record was taken out of another one by a person meanwhile, or waits since a later position.
SELECT new.source_id::text
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (source_id uuid, target uuid, from_source boolean, linked_at bigint[])
WHERE new.target <> new.source_id AND (new.from_source AND EXISTS (
    SELECT FROM identity i
    WHERE i.source_id = new.source_id AND i.target = i.source_id AND (i.waits_for IS NULL OR i.linked_at >= new.linked_at))
 OR EXISTS (
    WITH RECURSIVE chain (id, steps) AS (
        SELECT new.target, 0
        UNION ALL
        SELECT i.target, steps + 1 FROM chain JOIN identity i ON i.source_id = chain.id AND i.same AND i.target <> i.source_id WHERE steps < 16)
    SELECT FROM chain WHERE id = new.source_id));

-- name: upsert_identity
-- A record that must wait for what its row named does not, if its row said something else since.
INSERT INTO identity AS i (source_id, target, same, generation, linked_at, waits_for, left_targets)
SELECT source_id, target, same, nextval('identity_generation'), linked_at, waits_for, "left"
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (source_id uuid, target uuid, same boolean, linked_at bigint[], waits_for uuid, "left" uuid[])
ON CONFLICT (source_id) DO UPDATE SET
    target = excluded.target, same = excluded.same, generation = excluded.generation, linked_at = excluded.linked_at, waits_for = excluded.waits_for,
    left_targets = excluded.left_targets
WHERE (i.target, i.same, i.waits_for) IS DISTINCT FROM (excluded.target, excluded.same, excluded.waits_for)
  AND NOT (excluded.waits_for IS NOT NULL AND i.linked_at > excluded.linked_at);

-- name: aggregates_that_refer
-- Aggregates with an entity that refers to one of these customers or products, or to one that was linked to them before, each with what it
-- refers to and the kind of entity: at most so many; the others go on the list of those that are refreshed later.
WITH RECURSIVE names AS (
    SELECT unnest(%(ids)s::uuid[]) AS id
    UNION SELECT i.source_id FROM names JOIN identity i ON i.target = names.id AND i.same
), refer AS (
    SELECT DISTINCT aggregate_id, customer_ref AS ref, entity FROM entity WHERE customer_ref = ANY(ARRAY(SELECT id FROM names))
    UNION SELECT DISTINCT aggregate_id, product_ref, entity FROM entity WHERE product_ref = ANY(ARRAY(SELECT id FROM names))
), numbered AS (
    SELECT *, row_number() OVER () AS number FROM refer
), later AS (
    INSERT INTO refresh_due (aggregate_id, ref, entity) SELECT aggregate_id, ref, entity FROM numbered WHERE number > %(most)s
)
SELECT aggregate_id::text, ref::text, entity FROM numbered WHERE number <= %(most)s;

-- name: generation
SELECT coalesce(max(generation), 0) FROM identity WHERE same;

-- name: all_entities
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity;

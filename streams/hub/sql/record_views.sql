-- A record with all that is known of it. Functions: streams/hub/record_views.py.

-- name: record_view
-- The record that this id is now; `given` is the id that was asked for.
SELECT w.id::text AS given, e.id::text AS id, e.entity, e.aggregate_id::text AS aggregate_id, e.parent_id::text AS parent_id, e.version, e.revision, e.deleted, e.updated_us,
       e.record, e.contributions::text AS contributions
FROM unnest(ARRAY[%(id)s::uuid]) AS w (id) JOIN entity n ON n.id = w.id JOIN entity e ON e.id = coalesce(n.merged_into, n.id);

-- name: record_conflicts
-- Conflicts of these records that stand.
SELECT id::text AS id, entity_id::text AS entity_id, entity, field, kind, asserted AS values, winner, rule, outcome, seen_at, decided_by
FROM conflict WHERE entity_id = ANY(%(ids)s::uuid[]) AND resolved_at IS NULL ORDER BY seen_at DESC LIMIT %(limit)s;

-- name: flow_conflicts
-- Business rules that do not hold in an aggregate.
SELECT id::text AS id, entity_id::text AS entity_id, entity, field, kind, asserted AS values, winner, rule, outcome, seen_at, decided_by
FROM conflict WHERE aggregate_id = %(id)s AND kind = 'invariant' AND resolved_at IS NULL ORDER BY seen_at DESC LIMIT %(limit)s;

-- name: intents_of_subject
-- The newest intents that write this record; `about` is empty. Columns of intents_of_aggregate.
SELECT id, key, rule, target, entity, entity_id::text, aggregate_id::text, subject_id::text, state, reasons, people, decisions, attempts, problem,
       request, result, created_at, expires_at, done_at, '{}'::jsonb AS about
FROM intent WHERE subject_id = %(id)s ORDER BY id DESC LIMIT %(limit)s;

-- name: members_of_kind
-- Live records of this kind in an aggregate: contacts of a customer, stock of a product.
SELECT id::text AS id, record FROM entity WHERE aggregate_id = %(id)s AND entity = %(entity)s AND NOT deleted AND merged_into IS NULL AND version > 0 ORDER BY id LIMIT %(limit)s;

-- name: requests_of_customer
-- Service requests that refer to a customer by any of its ids, some if there are very many.
SELECT id::text AS id, record FROM entity WHERE customer_ref = ANY(%(ids)s::uuid[]) AND entity = 'service_request' AND NOT deleted AND version > 0 LIMIT %(limit)s;

-- name: suppliers_of_customer
-- Suppliers that are a customer, too, by any of its ids.
SELECT id::text AS id, record FROM entity WHERE customer_ref = ANY(%(ids)s::uuid[]) AND entity = 'supplier' AND NOT deleted AND merged_into IS NULL AND version > 0
ORDER BY id LIMIT %(limit)s;

-- name: flows_with_product
-- Some of the flows with an order line of a product.
SELECT DISTINCT aggregate_id::text AS id FROM (
    SELECT aggregate_id FROM entity WHERE product_ref = ANY(%(ids)s::uuid[]) AND entity = 'sales_order_line' AND NOT deleted LIMIT 10 * %(limit)s) few LIMIT %(limit)s;

-- name: flow_records_of
-- The joined records of these aggregates.
SELECT id::text AS id FROM entity WHERE aggregate_id = ANY(%(ids)s::uuid[]) AND flow_since IS NOT NULL;

-- name: dead_letters_of_keys
-- Open dead letters with one of these keys in one of these topics.
SELECT id, topic, partition, position, state, reason FROM dead_letter
WHERE state IN ('dead', 'parked', 'retry') AND topic = ANY(%(topics)s::text[]) AND key = ANY(%(keys)s::bytea[]) ORDER BY seen_at LIMIT %(limit)s;

-- name: names_of_ids
-- What records are called that others refer to.
SELECT w.id::text AS id, coalesce(e.record->>'name', e.record->>'number', e.record->>'sku', nullif(concat_ws(' ', e.record->>'first_name', e.record->>'last_name'), '')) AS name, e.entity,
       e.id::text AS record_id
FROM unnest(%(ids)s::uuid[]) AS w (id) JOIN entity n ON n.id = w.id JOIN entity e ON e.id = coalesce(n.merged_into, n.id);

-- name: members_of_flow
-- All entities of an aggregate, in the columns of `all_entities`.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity WHERE aggregate_id = %s;

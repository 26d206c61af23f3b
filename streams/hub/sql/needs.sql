-- What needs a person, with the names of whom it concerns. Functions: streams/hub/needs.py.

-- name: approvals_needed
-- Write-backs that wait for people, by the reason, with those that concern the greatest amounts. `most` are looked at.
SELECT coalesce(i.reasons->0->>'reason', '') AS reason, i.target, i.created_at AS since, i.id, coalesce(e.record->>'number', e.record->>'order_number') AS number,
       coalesce(c.record->>'name', e.record->>'name') AS name, coalesce((e.record->>'amount')::bigint, (e.record->>'ordered_amount')::bigint) AS amount,
       e.record->>'currency' AS currency
FROM (SELECT * FROM intent WHERE state = 'waiting' LIMIT %(most)s) i
LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id;

-- name: write_backs_refused
-- Write-backs that were given up within thirty days, with names. `most` are looked at.
SELECT coalesce(i.problem, '') AS reason, i.target, coalesce(i.done_at, i.created_at) AS since, i.id, coalesce(e.record->>'number', e.record->>'order_number') AS number,
       coalesce(c.record->>'name', e.record->>'name') AS name, coalesce((e.record->>'amount')::bigint, (e.record->>'ordered_amount')::bigint) AS amount,
       e.record->>'currency' AS currency
FROM (SELECT * FROM intent WHERE state = 'dead' AND done_at > now() - interval '30 days' ORDER BY done_at DESC LIMIT %(most)s) i
LEFT JOIN entity e ON e.id = i.entity_id LEFT JOIN entity c ON c.id = i.customer_id;

-- name: conflicts_needed
-- Conflicts that wait for people, with the name of the record. `most` are looked at.
SELECT c.kind, c.entity, c.field, c.rule, c.seen_at AS since, coalesce(e.record->>'number', e.record->>'order_number', e.record->>'sku') AS number,
       coalesce(e.record->>'name', k.record->>'name') AS name
FROM (SELECT * FROM conflict WHERE resolved_at IS NULL AND outcome IN ('open', 'flip_flop') ORDER BY seen_at DESC LIMIT %(most)s) c
LEFT JOIN entity e ON e.id = c.entity_id LEFT JOIN entity k ON k.id = (e.record->>'customer_id')::uuid;

-- name: dead_letters_needed
-- Records that failed, by topic and reason; `most` are looked at.
SELECT topic, reason, count(*) AS records, min(seen_at) AS since
FROM (SELECT topic, reason, seen_at FROM dead_letter WHERE state IN ('dead', 'retry') LIMIT %(most)s) d GROUP BY topic, reason ORDER BY count(*) DESC;

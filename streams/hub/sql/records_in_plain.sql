-- Golden records as they are. Functions: streams/hub/records_in_plain.py.

-- name: plain_record
SELECT e.entity, e.record FROM entity n JOIN entity e ON e.id = coalesce(n.merged_into, n.id) WHERE n.id = %s::uuid;

-- name: same_records
-- Source id → the record that it is the same as.
SELECT source_id::text AS source_id, target::text AS target FROM identity WHERE same;

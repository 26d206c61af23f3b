-- name: same_records
-- Source id → the record that it is the same as.
SELECT source_id::text AS source_id, target::text AS target FROM identity WHERE same;

-- name: unsent_shares
-- Documents with a line that names an order line of another aggregate, and of which nothing was sent there.
SELECT DISTINCT document.entity, document.id::text AS id, line.aggregate_id::text AS aggregate_id
FROM entity line JOIN entity ordered ON ordered.id = line.order_line_ref AND ordered.aggregate_id <> line.aggregate_id AND ordered.version > 0
JOIN entity document ON document.id = line.parent_id AND NOT document.deleted AND document.version > 0
WHERE line.order_line_ref IS NOT NULL AND NOT line.deleted AND NOT EXISTS (
    SELECT FROM entity sent WHERE sent.aggregate_id = line.aggregate_id AND sent.entity = 'shares_sent' AND sent.parent_id = line.parent_id
    AND sent.record->'shares'->(line.order_line_ref::text)->>'portion' IS NOT NULL);

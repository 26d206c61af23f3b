-- depends: 0101.entities

-- A document may serve orders of several aggregates. The writer of an order line asks which documents name it.
ALTER TABLE entity ADD COLUMN order_line_ref uuid;
COMMENT ON COLUMN entity.order_line_ref IS 'source id of the order line that a line of an invoice or shipment names';
UPDATE entity SET order_line_ref = (record->>'order_line_id')::uuid
WHERE entity IN ('invoice_line', 'shipment_line') AND record->>'order_line_id' IS NOT NULL;
CREATE INDEX entity_order_line_ref ON entity (order_line_ref) WHERE order_line_ref IS NOT NULL;

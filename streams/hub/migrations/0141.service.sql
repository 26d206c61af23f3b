-- depends: 0140.supply

ALTER TABLE due DROP CONSTRAINT due_kind_check, ADD CONSTRAINT due_kind_check CHECK (kind IN ('flow', 'customer', 'product', 'service_case'));
COMMENT ON TABLE due IS 'flow: business rules; customer: receivables; product: stock; service_case: what a request, return, item or customer is about';

CREATE FUNCTION opshub_names(ids uuid[]) RETURNS TABLE (id uuid, ref uuid) LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
AS $$
    WITH RECURSIVE name AS (
        SELECT wanted.id, wanted.id AS ref FROM unnest(ids) AS wanted (id)
        UNION SELECT name.id, i.source_id FROM name JOIN identity i ON i.target = name.ref AND i.same AND i.source_id <> i.target
    )
    SELECT name.id, name.ref FROM name;
$$;
COMMENT ON FUNCTION opshub_names IS 'each of these records, and every id that other records know it by';

-- People look for purchases, production, returns and pieces, too. A column's expression cannot be changed before Postgres 17: both are made
-- again, with the columns of service cases, so that the table is written once.
ALTER TABLE entity
    DROP find_number,
    DROP find_digits,
    ADD find_number text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request', 'share', 'product',
                             'purchase_order', 'production_order', 'return_order', 'installed_item')
              AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN left(lower(btrim(coalesce(CASE WHEN entity = 'installed_item' THEN record->>'serial_number' END, record->>'number', record->>'sku'))), 100) END) STORED,
    ADD find_digits text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request', 'share',
                             'purchase_order', 'production_order', 'return_order')
              AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN nullif(ltrim(substr(left(record->>'number', 100), length(rtrim(left(record->>'number', 100), '0123456789')) + 1), '0'), '') END) STORED,
    ADD request_ref uuid GENERATED ALWAYS AS (
        CASE WHEN entity IN ('return_order', 'repair') THEN (record->>'service_request_id')::uuid END) STORED,
    ADD case_since bigint GENERATED ALWAYS AS (
        CASE WHEN entity = 'service_case' AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN coalesce((record->>'opened_at')::bigint, 0) END) STORED,
    ADD case_open boolean GENERATED ALWAYS AS (
        CASE WHEN entity = 'service_case' AND NOT deleted AND merged_into IS NULL AND version > 0 THEN (record->>'is_open')::boolean END) STORED,
    ADD case_item uuid GENERATED ALWAYS AS (
        CASE WHEN entity = 'service_case' AND NOT deleted THEN (record->>'installed_item_id')::uuid END) STORED,
    ADD case_seeks boolean GENERATED ALWAYS AS (
        CASE WHEN entity = 'service_case' AND NOT deleted AND merged_into IS NULL AND version > 0
              AND ((record->>'is_open')::boolean
                   OR record->'problems' ?| ARRAY['order_unknown', 'order_ambiguous', 'shipment_unknown', 'invoice_unknown', 'item_unknown', 'item_ambiguous', 'product_unknown']
                   OR record->>'credit_note_id' IS NOT NULL AND record->>'credit_note_number' IS NULL
                   OR record->>'replacement_order_id' IS NOT NULL AND record->>'replacement_number' IS NULL)
             THEN true END) STORED;
COMMENT ON COLUMN entity.find_number IS 'number of a document or product, serial number of a piece; lower case';
COMMENT ON COLUMN entity.find_digits IS 'digits at the end of a number without leading zeros: people write 1042 for SO-0001042';
COMMENT ON COLUMN entity.request_ref IS 'the service request that a return or repair names';
COMMENT ON COLUMN entity.case_since IS 'when a live service case was opened, microseconds since 1970; 0: not known';
COMMENT ON COLUMN entity.case_seeks IS 'whether a service case may find more of what it names: it is open, or names what nobody knows';

CREATE INDEX entity_find_number ON entity (entity, find_number, id) WHERE find_number IS NOT NULL;
CREATE INDEX entity_find_digits ON entity (find_digits) WHERE find_digits IS NOT NULL;
CREATE INDEX entity_request_ref ON entity (request_ref) WHERE request_ref IS NOT NULL;
CREATE INDEX entity_case_since ON entity (case_since, id) WHERE case_since IS NOT NULL;
CREATE INDEX entity_case_open ON entity (case_since, id) WHERE case_open;
CREATE INDEX entity_case_item ON entity (case_item) WHERE case_item IS NOT NULL;
CREATE INDEX entity_case_seeks ON entity (id) WHERE case_seeks;
CREATE INDEX entity_case_customer ON entity (customer_ref) WHERE entity = 'service_case';
CREATE INDEX entity_case_product ON entity (product_ref) WHERE entity = 'service_case';

-- Requests and returns that are there already get their cases.
INSERT INTO due (kind, id, at, changes)
SELECT 'service_case', id, now(), 1 FROM entity WHERE entity IN ('service_request', 'return_order') AND NOT deleted AND version > 0
ON CONFLICT (kind, id) DO NOTHING;

-- depends: 0110.order_lines

-- What of a product is on its way, without reading all its order lines.
CREATE INDEX entity_incoming ON entity (product_ref) WHERE entity IN ('purchase_order_line', 'production_order');

-- Order lines that wait for goods, by the purchase or production order that comes last. A column, for the reason that 0121 gives.
ALTER TABLE entity ADD supply_waits uuid GENERATED ALWAYS AS (
    CASE WHEN entity = 'supply' AND NOT deleted AND merged_into IS NULL AND record->>'status' NOT IN ('available', 'shipped')
         THEN coalesce((record->>'waits_for_id')::uuid, id) END) STORED;
COMMENT ON COLUMN entity.supply_waits IS 'of an order line that waits for goods: the document that comes last, else the id of the row itself';
CREATE INDEX entity_supply_waits ON entity (supply_waits) WHERE supply_waits IS NOT NULL;
COMMENT ON COLUMN entity.order_line_ref IS 'source id of the order line that a line of a document names';

-- depends: 0141.service

-- The cycle time of an order in parts, and whether goods came back.
ALTER TABLE flow_figure ADD asked_us bigint, ADD approved_us bigint, ADD ready_us bigint, ADD returned boolean;
COMMENT ON COLUMN flow_figure.asked_us IS 'when people were first asked to approve something of the flow; approved_us: when the last of it was approved';
COMMENT ON COLUMN flow_figure.ready_us IS 'when the last purchase or production came in; null: nothing was bought or made for it';

-- Purchase orders that are late are counted by an index, which holds those that are open.
ALTER TABLE entity ADD purchase_due int GENERATED ALWAYS AS (
    CASE WHEN entity = 'purchase_order' AND NOT deleted AND merged_into IS NULL AND version > 0
          AND coalesce(record->>'status', '') NOT IN ('requested', 'draft', 'received', 'closed', 'cancelled')
         THEN coalesce((record->>'promised_date')::int, (record->>'expected_date')::int) END) STORED;
COMMENT ON COLUMN entity.purchase_due IS 'of an open purchase order: the day on which it was promised, days since 1970';
CREATE INDEX entity_purchase_due ON entity (purchase_due) WHERE purchase_due IS NOT NULL;

-- depends: 0118.people

-- Lists and the search of people: what they look for, as columns that Postgres computes from the record. An expression index on `record` would
-- make every update of every row touch all indexes of the table (no HOT update); a column that stays as it is does not. The table is written
-- again once: a hub of ten million rows takes some minutes, and for that time as much space again.
CREATE FUNCTION opshub_name(record jsonb) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN left(lower(btrim(coalesce(record->>'name', coalesce(record->>'first_name', '') || ' ' || coalesce(record->>'last_name', ''))
       || coalesce(' ' || nullif(record->>'legal_name', record->>'name'), ''))), 300);
COMMENT ON FUNCTION opshub_name IS 'what a customer, contact, product or deal is called, in lower case; legal name included';

-- Trigrams know only Latin letters where the hub has the locale C, as ours has, and a Chinese name is often asked for by two characters.
CREATE FUNCTION opshub_pairs(name text) RETURNS text[] IMMUTABLE PARALLEL SAFE
RETURN nullif(
    ARRAY(SELECT DISTINCT substr(name, i, 2) FROM generate_series(1, length(name) - 1) i
          WHERE substr(name, i, 2) ~ '^[^\u0001-\u024f\u2000-\u206f]{2}$'), '{}');
COMMENT ON FUNCTION opshub_pairs IS 'pairs of neighbouring characters that are no Latin letters: 华东机械 has 华东, 东机, 机械; null where there are none';

ALTER TABLE entity
    ADD flow_stage text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity = 'order_flow' AND NOT deleted AND merged_into IS NULL AND version > 0 THEN record->>'stage' END) STORED,
    ADD flow_since bigint GENERATED ALWAYS AS (
        CASE WHEN entity = 'order_flow' AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN coalesce((record->>'stage_since')::bigint, updated_us) END) STORED,
    ADD flow_customer uuid GENERATED ALWAYS AS (
        CASE WHEN entity = 'order_flow' AND NOT deleted AND merged_into IS NULL AND version > 0 THEN (record->>'customer_id')::uuid END) STORED,
    ADD find_number text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request', 'share', 'product')
              AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN left(lower(coalesce(record->>'number', record->>'sku')), 100) END) STORED,
    ADD find_digits text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request', 'share')
              AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN nullif(ltrim(substr(left(record->>'number', 100), length(rtrim(left(record->>'number', 100), '0123456789')) + 1), '0'), '') END) STORED,
    ADD find_name text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('customer', 'contact', 'product', 'opportunity') AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN opshub_name(record) END) STORED,
    ADD find_pairs text[] COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('customer', 'contact', 'product', 'opportunity') AND NOT deleted AND merged_into IS NULL AND version > 0
              AND octet_length(opshub_name(record)) > length(opshub_name(record))    -- the call alone costs what ten other columns do
             THEN opshub_pairs(opshub_name(record)) END) STORED,
    ADD find_email text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('customer', 'contact') AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN left(lower(record->>'email'), 200) END) STORED,
    ADD find_phone text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity IN ('customer', 'contact') AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN nullif(right(translate(left(record->>'phone', 60), '+ -()/.', ''), 8), '') END) STORED,
    ADD find_tax_id text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN entity = 'customer' AND NOT deleted AND merged_into IS NULL AND version > 0
             THEN left(upper(record->>'tax_id'), 60) END) STORED;
COMMENT ON COLUMN entity.flow_since IS 'since when a live order flow is in its stage, microseconds since 1970';
COMMENT ON COLUMN entity.find_number IS 'number of a document or product, lower case';
COMMENT ON COLUMN entity.find_digits IS 'digits at the end of a number without leading zeros: people write 1042 for SO-0001042';
COMMENT ON COLUMN entity.find_phone IS 'last eight digits: a number is written with and without the code of its country';

CREATE INDEX entity_flow_since ON entity (flow_since, id) WHERE flow_since IS NOT NULL;
CREATE INDEX entity_flow_stage ON entity (flow_stage, flow_since, id) WHERE flow_stage IS NOT NULL;
CREATE INDEX entity_flow_customer ON entity (flow_customer, flow_since, id) WHERE flow_customer IS NOT NULL;
CREATE INDEX entity_find_number ON entity (entity, find_number, id) WHERE find_number IS NOT NULL;
CREATE INDEX entity_find_digits ON entity (find_digits) WHERE find_digits IS NOT NULL;
CREATE INDEX entity_find_name ON entity (entity, find_name, id) WHERE find_name IS NOT NULL;
CREATE INDEX entity_find_email ON entity (find_email) WHERE find_email IS NOT NULL;
CREATE INDEX entity_find_phone ON entity (find_phone) WHERE find_phone IS NOT NULL;
CREATE INDEX entity_find_tax_id ON entity (find_tax_id) WHERE find_tax_id IS NOT NULL;
CREATE INDEX entity_find_pairs ON entity USING gin (find_pairs) WHERE find_pairs IS NOT NULL;

-- A part of a name is found by its trigrams. A hub whose owner may not add the extension finds names by how they begin.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    EXECUTE 'CREATE INDEX entity_name_parts ON entity USING gin (find_name gin_trgm_ops) WHERE find_name IS NOT NULL';
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm cannot be added: names are found by how they begin';
END $$;

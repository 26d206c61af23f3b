-- depends: 0142.service_figures

-- An order may answer a service request, too. A column's expression cannot be changed before Postgres 17, so it is made again.
ALTER TABLE entity
    DROP request_ref,
    ADD request_ref uuid GENERATED ALWAYS AS (
        CASE WHEN entity IN ('return_order', 'repair', 'sales_order') THEN (record->>'service_request_id')::uuid END) STORED;
COMMENT ON COLUMN entity.request_ref IS 'the service request that a return, repair or order names';
CREATE INDEX entity_request_ref ON entity (request_ref) WHERE request_ref IS NOT NULL;

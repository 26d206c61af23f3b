-- depends:

-- One row for each id that any source ever named. `record` is the golden record; `contributions` is what each source currently says of it,
-- with its position. Rows are never deleted: a deleted entity keeps the positions that guard it against old changes.
CREATE TABLE entity (
    id            uuid    PRIMARY KEY,
    entity        text    NOT NULL,
    aggregate_id  uuid    NOT NULL,
    parent_id     uuid,
    merged_into   uuid,
    customer_ref  uuid,
    product_ref   uuid,
    version       bigint  NOT NULL,
    revision      bigint  NOT NULL,
    deleted       boolean NOT NULL,
    updated_us    bigint  NOT NULL,
    record        jsonb   NOT NULL,
    contributions jsonb   NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN entity.aggregate_id IS 'the aggregate whose one writer owns this row';
COMMENT ON COLUMN entity.merged_into IS 'this id is another name of that entity';
COMMENT ON COLUMN entity.customer_ref IS 'source id of the customer that the record refers to, as the source gave it';
COMMENT ON COLUMN entity.product_ref IS 'source id of the product that the record refers to, as the source gave it';
COMMENT ON COLUMN entity.version IS 'version of the golden record, as the canonical topic carries it';
COMMENT ON COLUMN entity.revision IS 'revision of this row; a write names the revision that it read';

-- A record with a long text is written again with each change of it: compressing it took a fifth of the hub's CPU time.
ALTER TABLE entity ALTER COLUMN record SET STORAGE EXTERNAL, ALTER COLUMN contributions SET STORAGE EXTERNAL;
-- ANALYZE would unpack 30,000 documents for statistics that no plan uses: a second each time, several times a minute while a hub grows.
ALTER TABLE entity ALTER record SET STATISTICS 0, ALTER contributions SET STATISTICS 0;

CREATE INDEX entity_aggregate ON entity (aggregate_id);
CREATE INDEX entity_customer_ref ON entity (customer_ref) WHERE customer_ref IS NOT NULL;
CREATE INDEX entity_product_ref ON entity (product_ref) WHERE product_ref IS NOT NULL;
-- A customer may have a hundred thousand orders with their payments; its invoices and service requests are found without reading them.
CREATE INDEX entity_owed ON entity (customer_ref) WHERE entity IN ('invoice', 'service_request');
-- Every few minutes the worker looks for stuck flows and overdue sums, without reading the whole hub.
CREATE INDEX entity_monitored ON entity (entity) WHERE entity IN ('order_flow', 'receivables');

-- The worker that reads a partition holds the newest token; each worker that takes the partition over increases it.
CREATE TABLE fencing_token (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    token     bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

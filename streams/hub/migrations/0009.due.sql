-- depends: 0001.entities

-- What is to be looked at, or summed, a while after its last change. Marked by the transaction that wrote the change, so that nothing is
-- forgotten when the worker dies that did it.
CREATE TABLE due (
    kind   text NOT NULL CHECK (kind IN ('flow', 'customer', 'product')),
    id     uuid NOT NULL,
    at     timestamptz NOT NULL,
    marked timestamptz NOT NULL DEFAULT clock_timestamp(),
    marks  int  NOT NULL,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1);
COMMENT ON TABLE due IS 'flow: rules of the business; customer: receivables; product: stock';
COMMENT ON COLUMN due.at IS 'flow: when somebody else is to look, since whoever changed it has not; customer, product: when it is to be summed';
COMMENT ON COLUMN due.marked IS 'when it last changed; a worker lets a mark stand for its further changes for a moment';
COMMENT ON COLUMN due.marks IS 'changes since it was summed; 0 while it only waits until it may be summed again';

-- A customer's invoices and requests are found among all that refers to it, which may be a hundred thousand orders with their payments.
CREATE INDEX entity_owed ON entity (customer_ref) WHERE entity IN ('invoice', 'service_request');

-- What is there already is summed once.
INSERT INTO due (kind, id, at, marks) SELECT entity, id, clock_timestamp(), 1 FROM entity WHERE entity IN ('customer', 'product') AND merged_into IS NULL;

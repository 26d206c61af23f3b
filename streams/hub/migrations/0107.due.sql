-- depends: 0101.entities

-- What is to be checked, or summed, a while after its last change. The transaction that writes the change marks it, so that nothing is
-- forgotten when the worker dies.
CREATE TABLE due (
    kind       text NOT NULL CHECK (kind IN ('flow', 'customer', 'product')),
    id         uuid NOT NULL,
    at         timestamptz NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changes    int  NOT NULL,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1);
COMMENT ON TABLE due IS 'flow: business rules; customer: receivables; product: stock';
COMMENT ON COLUMN due.at IS 'flow: when another worker checks it, if the one that changed it has not; customer, product: when it is summed';
COMMENT ON COLUMN due.changed_at IS 'its last change; for a moment a worker lets one mark stand for its further changes';
COMMENT ON COLUMN due.changes IS 'changes since it was summed; 0 while it only waits until it may be summed again';

-- Aggregates that are to read themselves again. They are notified in portions: a customer that is linked may have a hundred thousand orders.
CREATE TABLE refresh_due (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregate_id uuid NOT NULL,
    ref          uuid NOT NULL,
    entity       text NOT NULL
);
COMMENT ON COLUMN refresh_due.ref IS 'the id that the aggregate refers to, which is another record by now';
COMMENT ON COLUMN refresh_due.entity IS 'the kind of entity that refers to it';

-- depends: 0001.entities

-- Aggregates that are told a little later to read themselves again: a customer that is linked may have a hundred thousand orders.
CREATE TABLE refresh_due (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregate_id uuid NOT NULL,
    ref          uuid NOT NULL,
    entity       text NOT NULL
);
COMMENT ON COLUMN refresh_due.ref IS 'what it refers to, and what is another record by now';
COMMENT ON COLUMN refresh_due.entity IS 'the kind of entity that refers to it';

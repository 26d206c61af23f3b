-- depends: 0003.writeback

ALTER TABLE intent ADD COLUMN unsure boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN intent.unsure IS 'it may have been done: it was sent, and what came of it is not known';
ALTER TABLE intent ADD COLUMN incomplete_since timestamptz;
COMMENT ON COLUMN intent.incomplete_since IS 'since when delivery waits for the hub or for the target, while it is looked at again and again';

-- What else a customer has on order is asked for each order that needs somebody's yes by its credit.
CREATE INDEX intent_customer ON intent (customer_id, rule);

-- What write-back is about to write, or wrote a moment ago, to a target whose rows do not tell who wrote them.
CREATE TABLE echo_due (
    intent_id bigint NOT NULL PRIMARY KEY REFERENCES intent (id),
    target    text NOT NULL,
    row_id    uuid,
    entity    text NOT NULL,
    said      jsonb NOT NULL,
    from_us   bigint NOT NULL,
    until_us  bigint,
    tx        text
);
COMMENT ON COLUMN echo_due.row_id IS 'source id of the row; null for one that is to be made, which is known by what it says';
COMMENT ON COLUMN echo_due.said IS 'canonical fields that the row has when it was written';
COMMENT ON COLUMN echo_due.from_us IS 'just before the request, microseconds since 1970; until_us when that was settled, null while it is on its way';
COMMENT ON COLUMN echo_due.tx IS 'the transaction in which it came back: nothing else is its echo';
CREATE INDEX echo_due_target ON echo_due (target, from_us);

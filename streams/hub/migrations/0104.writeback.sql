-- depends: 0101.entities

-- A change that the hub wants a system to make. It is added in the transaction that wrote the records that caused it.
CREATE TABLE intent (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key              text   NOT NULL UNIQUE,
    rule             text   NOT NULL,
    target           text   NOT NULL,
    entity           text   NOT NULL,
    entity_id        uuid   NOT NULL,
    aggregate_id     uuid   NOT NULL,
    subject_id       uuid   NOT NULL,
    customer_id      uuid,
    version          bigint NOT NULL,
    cause_us         bigint NOT NULL,
    given            jsonb  NOT NULL DEFAULT '{}',
    state            text   NOT NULL DEFAULT 'planned' CHECK (state IN (
                         'planned', 'waiting', 'approved', 'delivering', 'delivered', 'failed', 'expired', 'dead', 'rejected', 'superseded', 'shadow')),
    reasons          jsonb  NOT NULL DEFAULT '[]',
    people           int    NOT NULL DEFAULT 0,
    decisions        jsonb  NOT NULL DEFAULT '[]',
    not_before       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    leased_by        text,
    lease_until      timestamptz,
    attempts         int    NOT NULL DEFAULT 0,
    failures         int    NOT NULL DEFAULT 0,
    in_doubt         boolean NOT NULL DEFAULT false,
    not_ready_since timestamptz,
    problem          text,
    request          jsonb,
    result           jsonb,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at          timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN intent.key IS 'idempotency key: the target is asked for it before anything is sent a second time';
COMMENT ON COLUMN intent.rule IS '<system>/<name> in connectors/<system>/writeback.yaml';
COMMENT ON COLUMN intent.subject_id IS 'the entity that is written in the target';
COMMENT ON COLUMN intent.cause_us IS 'commit time at the source of the change that caused it, microseconds since 1970';
COMMENT ON COLUMN intent.given IS 'what the delivery that it follows returned';
COMMENT ON COLUMN intent.reasons IS 'why people are asked: [{reason, people, amount, currency, discount}]';
COMMENT ON COLUMN intent.people IS 'how many people must approve it';
COMMENT ON COLUMN intent.decisions IS 'decisions of people: [{who, account, what, why, at, reasons}]; what is approve or reject';
COMMENT ON COLUMN intent.attempts IS 'how often it was leased; with leased_by the fencing token of a deliverer';
COMMENT ON COLUMN intent.failures IS 'how often the target refused it';
COMMENT ON COLUMN intent.in_doubt IS 'it was sent, and it is not known whether the target did it: look it up or read it back before it is sent again';
COMMENT ON COLUMN intent.not_ready_since IS 'since when delivery waits until the record is complete in the hub, or until the hub knows what the target has; null while it does not wait';
COMMENT ON COLUMN intent.request IS 'what was sent, or would be sent in shadow mode';
COMMENT ON COLUMN intent.result IS 'what the target returned, and under `written` the values that it has now';
ALTER TABLE intent ALTER given SET STATISTICS 0, ALTER reasons SET STATISTICS 0, ALTER decisions SET STATISTICS 0,
    ALTER request SET STATISTICS 0, ALTER result SET STATISTICS 0;

CREATE INDEX intent_due ON intent (target, not_before) WHERE state IN ('planned', 'approved', 'failed', 'delivering');
CREATE INDEX intent_subject ON intent (subject_id, rule);
CREATE INDEX intent_aggregate ON intent (aggregate_id);
CREATE INDEX intent_waiting ON intent (expires_at) WHERE state = 'waiting';
-- For an order that needs an approval by its credit, what else the customer has on order is looked up.
CREATE INDEX intent_customer ON intent (customer_id, rule);
-- The watcher counts dead intents every 15 seconds.
CREATE INDEX intent_dead ON intent (done_at) WHERE state = 'dead';

-- What happened to an intent, and who did it. Rows are only ever added.
CREATE TABLE intent_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intent (id),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text  NOT NULL,
    what      text  NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
ALTER TABLE intent_log ALTER detail SET STATISTICS 0;
CREATE INDEX intent_log_intent ON intent_log (intent_id);

-- Rules and systems to which nothing is delivered for now; their intents wait.
CREATE TABLE writeback_pause (
    scope  text PRIMARY KEY,
    who    text NOT NULL,
    reason text NOT NULL,
    at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN writeback_pause.scope IS '<system>, or <system>/<rule>';

-- What write-back is about to write, or just wrote, to a target whose rows do not show who wrote them.
CREATE TABLE echo_due (
    intent_id bigint NOT NULL PRIMARY KEY REFERENCES intent (id),
    target    text   NOT NULL,
    row_id    uuid,
    entity    text   NOT NULL,
    fields    jsonb  NOT NULL,
    from_us   bigint NOT NULL,
    until_us  bigint,
    tx        text
);
COMMENT ON COLUMN echo_due.row_id IS 'source id of the row; null for a row that is to be created, which is recognised by its fields';
COMMENT ON COLUMN echo_due.fields IS 'canonical fields that the row has once it is written';
COMMENT ON COLUMN echo_due.from_us IS 'just before the request, microseconds since 1970';
COMMENT ON COLUMN echo_due.until_us IS 'when the request was settled; null while it is on its way';
COMMENT ON COLUMN echo_due.tx IS 'the source transaction in which the echo came back: no other change is its echo';
CREATE INDEX echo_due_target ON echo_due (target, from_us);

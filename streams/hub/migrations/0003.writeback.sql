-- depends: 0001.entities

-- A change that the hub wants a system to make. It is added in the transaction that wrote the records which gave rise to it.
CREATE TABLE intent (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text NOT NULL UNIQUE,
    rule         text NOT NULL,
    target       text NOT NULL,
    entity       text NOT NULL,
    entity_id    uuid NOT NULL,
    aggregate_id uuid NOT NULL,
    subject_id   uuid NOT NULL,
    customer_id  uuid,
    version      bigint NOT NULL,
    cause_us     bigint NOT NULL,
    given        jsonb NOT NULL DEFAULT '{}',
    state        text NOT NULL DEFAULT 'planned' CHECK (state IN (
                     'planned', 'waiting', 'approved', 'delivering', 'delivered', 'failed', 'expired', 'dead', 'rejected', 'superseded', 'shadow')),
    reasons      jsonb NOT NULL DEFAULT '[]',
    people       int NOT NULL DEFAULT 0,
    decisions    jsonb NOT NULL DEFAULT '[]',
    not_before   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    leased_by    text,
    lease_until  timestamptz,
    attempts     int NOT NULL DEFAULT 0,
    failures     int NOT NULL DEFAULT 0,
    problem      text,
    request      jsonb,
    result       jsonb,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at      timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN intent.key IS 'idempotency key: the target is asked for it before anything is done twice';
COMMENT ON COLUMN intent.rule IS '<system>/<name> in connectors/<system>/writeback.yaml';
COMMENT ON COLUMN intent.subject_id IS 'the entity that is written in the target';
COMMENT ON COLUMN intent.cause_us IS 'commit time at the source of the change that gave rise to it, microseconds since 1970';
COMMENT ON COLUMN intent.given IS 'what the delivery that it follows returned';
COMMENT ON COLUMN intent.reasons IS 'why people are asked: [{rule, reason, people}]';
COMMENT ON COLUMN intent.decisions IS 'what people said: [{who, what, why, at, reasons}]';
COMMENT ON COLUMN intent.attempts IS 'times that it was leased; with leased_by the fencing token of a deliverer';
COMMENT ON COLUMN intent.failures IS 'times that the target refused it';
COMMENT ON COLUMN intent.request IS 'what was (or, in shadow mode, would be) sent';
COMMENT ON COLUMN intent.result IS 'what the target returned, and under `written` the values that it has now';
CREATE INDEX intent_due ON intent (target, not_before) WHERE state IN ('planned', 'approved', 'failed', 'delivering');
CREATE INDEX intent_subject ON intent (subject_id, rule);
CREATE INDEX intent_aggregate ON intent (aggregate_id);
CREATE INDEX intent_waiting ON intent (expires_at) WHERE state = 'waiting';

-- What happened to an intent, and who did it. Rows are only ever added.
CREATE TABLE intent_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intent (id),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text NOT NULL,
    what      text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX intent_log_intent ON intent_log (intent_id);

-- Rules and systems to which nothing is delivered for now; intents gather meanwhile.
CREATE TABLE writeback_pause (
    scope  text PRIMARY KEY,
    who    text NOT NULL,
    reason text NOT NULL,
    at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN writeback_pause.scope IS '<system>, or <system>/<rule>';

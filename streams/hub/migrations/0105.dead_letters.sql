-- depends:

-- A record that could not be processed (dead), and the later records of its key that wait behind it (parked). `retry` marks what a person
-- wants processed again, until a worker has done it. `value` is byte for byte what arrived; an edit stands beside it.
CREATE TABLE dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    position    bigint NOT NULL,
    key         bytea,
    value       bytea,
    stage       text   NOT NULL,
    class       text   NOT NULL,
    reason      text   NOT NULL,
    tried       int    NOT NULL DEFAULT 1,
    state       text   NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'parked', 'retry', 'retried', 'dropped')),
    came_as     text   NOT NULL DEFAULT 'dead',
    edited      bytea,
    edited_by   text,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, position)
);
COMMENT ON COLUMN dead_letter.position IS 'offset of the record in its partition';
COMMENT ON COLUMN dead_letter.tried IS 'how often it failed';
COMMENT ON COLUMN dead_letter.came_as IS 'dead or parked: its state when it arrived';
CREATE INDEX dead_letter_open ON dead_letter (topic, position) WHERE state IN ('dead', 'parked', 'retry');
-- The watcher counts new dead letters every 15 seconds.
CREATE INDEX dead_letter_seen ON dead_letter (seen_at);

-- What people did to dead letters. Rows are only ever added.
CREATE TABLE dead_letter_audit (
    at             timestamptz NOT NULL DEFAULT now(),
    who            text   NOT NULL,
    verb           text   NOT NULL,
    dead_letter_id bigint NOT NULL,
    detail         text   NOT NULL DEFAULT ''
);

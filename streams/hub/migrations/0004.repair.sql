-- depends: 0001.entities

-- A record that could not pass (dead), and those of its key that wait behind it (parked). What is asked for again is `retry`
-- until a worker has done it. `value` is byte for byte what arrived; an edit stands beside it.
ALTER TABLE dead_letter
    ADD COLUMN id        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN came_as   text NOT NULL DEFAULT 'dead',
    ADD COLUMN edited    bytea,
    ADD COLUMN edited_by text,
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_state_check;
ALTER TABLE dead_letter ADD CONSTRAINT dead_letter_state_check CHECK (state IN ('dead', 'parked', 'retry', 'retried', 'dropped'));
COMMENT ON COLUMN dead_letter.came_as IS 'dead or parked: what it was when it came';
COMMENT ON COLUMN dead_letter.tried IS 'times that it failed';
CREATE INDEX dead_letter_open ON dead_letter (topic, position) WHERE state IN ('dead', 'parked', 'retry');

CREATE TABLE dead_letter_audit (
    at        timestamptz NOT NULL DEFAULT now(),
    who       text NOT NULL,
    verb      text NOT NULL,
    letter_id bigint NOT NULL,
    detail    text NOT NULL DEFAULT ''
);

-- What became of each raw record, counted once for each offset: `upto` is the next offset to count.
CREATE TABLE raw_account (
    topic      text   NOT NULL,
    partition  int    NOT NULL,
    since      bigint NOT NULL,
    upto       bigint NOT NULL,
    passed     bigint NOT NULL,
    filtered   bigint NOT NULL,
    tombstones bigint NOT NULL,
    dead       bigint NOT NULL,
    parked     bigint NOT NULL,
    control    bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON COLUMN raw_account.filtered IS 'dropped by a rule of the dictionary';
COMMENT ON COLUMN raw_account.control IS 'records of opshub itself: retry and sweep';

-- Tables that were truncated, or captured anew: what they had said before the position is swept again until nothing is left.
CREATE TABLE sweep (
    topic   text   NOT NULL,
    epoch   bigint NOT NULL,
    major   bigint NOT NULL,
    minor   bigint NOT NULL,
    swept   int    NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now() + interval '5 seconds',
    PRIMARY KEY (topic, epoch, major, minor)
);

-- What a source was when it was last seen: another identifier or slot means that changes may be missing.
CREATE TABLE source_seen (
    system            text PRIMARY KEY,
    epoch             bigint NOT NULL DEFAULT 0,
    system_identifier text,
    timeline          int,
    slot_lsn          pg_lsn,
    alarm             text,
    seen_at           timestamptz NOT NULL DEFAULT now()
);
-- Raw records from these offsets on are of this epoch.
CREATE TABLE epoch_start (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    position  bigint NOT NULL,
    epoch     bigint NOT NULL,
    PRIMARY KEY (topic, partition, epoch)
);

-- depends:

-- What became of each raw record, counted once for each offset.
CREATE TABLE raw_account (
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    since        bigint NOT NULL,
    upto         bigint NOT NULL,
    passed       bigint NOT NULL,
    filtered     bigint NOT NULL,
    tombstones   bigint NOT NULL,
    dead         bigint NOT NULL,
    parked       bigint NOT NULL,
    control      bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON COLUMN raw_account.since IS 'the first offset that was counted';
COMMENT ON COLUMN raw_account.upto IS 'the next offset to count';
COMMENT ON COLUMN raw_account.filtered IS 'left out by a rule of the dictionary';
COMMENT ON COLUMN raw_account.control IS 'control records of opshub: retry, sweep, epoch';

-- Tables that were truncated, or snapshotted again: rows that were last seen before the position are deleted in sweeps until none is left.
CREATE TABLE sweep (
    topic   text   NOT NULL,
    epoch   bigint NOT NULL,
    major   bigint NOT NULL,
    minor   bigint NOT NULL,
    swept   int    NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now() + interval '5 seconds',
    PRIMARY KEY (topic, epoch, major, minor)
);

-- A source as it was last seen: another identifier, timeline or slot means that changes may be missing.
CREATE TABLE source_state (
    system            text PRIMARY KEY,
    epoch             bigint NOT NULL DEFAULT 0,
    system_identifier text,
    timeline          int,
    slot_lsn          pg_lsn,
    alarm             text,
    seen_at           timestamptz NOT NULL DEFAULT now()
);

-- From this offset on, the raw records of a partition belong to the epoch.
CREATE TABLE epoch_start (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    position  bigint NOT NULL,
    epoch     bigint NOT NULL,
    PRIMARY KEY (topic, partition, epoch)
);

-- The columns of each captured table as they were last seen: {number: [name, type]}.
CREATE TABLE source_columns (
    system     text  NOT NULL,
    table_name text  NOT NULL,
    columns    jsonb NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, table_name)
);

-- What ALTER TABLE did to captured tables, and what that means for the mapping.
CREATE TABLE schema_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    system     text NOT NULL,
    table_name text NOT NULL,
    kind       text NOT NULL,
    what       text NOT NULL,
    effect     text NOT NULL
);

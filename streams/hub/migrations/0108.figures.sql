-- depends:

-- Alerts that were sent and have not been resolved: the next watcher repeats none of them, and reports the end of each.
CREATE TABLE open_alert (
    sink   text NOT NULL,
    name   text NOT NULL,
    what   text NOT NULL,
    remedy text NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (sink, name)
);
COMMENT ON COLUMN open_alert.sink IS 'log, webhook, slack or email';
COMMENT ON COLUMN open_alert.name IS '<code>/<where> of the problem';

-- Values that dictionaries changed or forgave (a wrong encoding, an ambiguous hour, a bad value taken as null), counted by field.
CREATE TABLE mapping_note (
    system     text   NOT NULL,
    table_name text   NOT NULL,
    field      text   NOT NULL,
    kind       text   NOT NULL,
    count      bigint NOT NULL,
    reason     text   NOT NULL,
    example    text   NOT NULL,
    first_at   timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, table_name, field, kind)
);
COMMENT ON COLUMN mapping_note.example IS 'key of the last row';

-- Figures of data quality over time.
CREATE TABLE quality (
    at          timestamptz NOT NULL,
    entity      text   NOT NULL,
    field       text   NOT NULL,
    records     bigint NOT NULL,
    complete    bigint NOT NULL,
    invalid     bigint NOT NULL,
    repeated    bigint NOT NULL,
    disagreeing bigint NOT NULL,
    orphans     bigint NOT NULL,
    PRIMARY KEY (at, entity, field)
);

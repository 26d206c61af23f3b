-- depends: 0142.service_figures

-- Systems without a database: what their reader knows, what it still has to send, and the schedules of all tables.

CREATE TABLE source_lease (
    system text PRIMARY KEY,
    holder text NOT NULL,
    until timestamptz NOT NULL
);
COMMENT ON TABLE source_lease IS 'which reader may read a system without a database; a transaction of another one is refused';

CREATE TABLE source_read (
    system text NOT NULL,
    table_name text NOT NULL,
    watermark text,
    position bigint NOT NULL DEFAULT 0,
    read_at timestamptz,
    swept_at timestamptz,
    whole_wanted boolean NOT NULL DEFAULT false,
    wanted_at timestamptz,
    problem text,
    problem_at timestamptz,
    PRIMARY KEY (system, table_name)
);
COMMENT ON TABLE source_read IS 'how far a table of a system without a database is read; its lock puts the writers of the table in order';
COMMENT ON COLUMN source_read.position IS 'the greatest position that was given to a change of the table: microseconds since 1970, or one more than the last';
COMMENT ON COLUMN source_read.read_at IS 'when it was last read to the end';
COMMENT ON COLUMN source_read.swept_at IS 'when all of it was last read, and what is gone was deleted';
COMMENT ON COLUMN source_read.wanted_at IS 'since when a person or an event wants it read; null: nobody does';

CREATE TABLE source_row (
    system text NOT NULL,
    table_name text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    row bytea,
    version text,
    position bigint NOT NULL,
    PRIMARY KEY (system, table_name, key)
);
COMMENT ON TABLE source_row IS 'each row as it was last sent: what comes once more, and is the same, is not sent again';
COMMENT ON COLUMN source_row.row IS 'as JSON; null: it is deleted';
COMMENT ON COLUMN source_row.version IS 'what the source says about its age, where events may come out of order';

CREATE TABLE source_send (
    topic text NOT NULL,
    position bigint NOT NULL,
    system text NOT NULL,
    key bytea,
    value bytea NOT NULL,
    PRIMARY KEY (topic, position)
);
CREATE INDEX source_send_system ON source_send (system);
COMMENT ON TABLE source_send IS 'raw records that Kafka has not acknowledged yet';

CREATE TABLE source_event (
    system text NOT NULL,
    event text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, event)
);
CREATE INDEX source_event_at ON source_event (at);
COMMENT ON TABLE source_event IS 'webhooks that were taken, so that none counts twice; kept for 30 days';

CREATE TABLE source_hint (
    system text NOT NULL,
    table_name text NOT NULL,
    key text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (system, table_name, key, number)
);
COMMENT ON TABLE source_hint IS 'rows that a webhook named, and that are to be read';

CREATE TABLE source_file (
    system text NOT NULL,
    table_name text NOT NULL,
    digest text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows bigint,
    problem text,
    PRIMARY KEY (system, table_name, digest)
);
COMMENT ON TABLE source_file IS 'files that were taken, or refused with the reason, by the SHA-256 of their content';

CREATE TABLE sync_batch (
    scope text PRIMARY KEY,
    began_at timestamptz NOT NULL,
    ends jsonb NOT NULL,
    ended_at timestamptz
);
COMMENT ON TABLE sync_batch IS 'the last batch of a captured table with a schedule: ends: partition of its raw topic → the offset to which the batch reads';

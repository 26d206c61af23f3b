-- depends: 0106.capture

-- Each captured table as it was last seen. A table that was made again under its name, or was not published for a while, has a gap: changes of it
-- were not captured. It stays until the table is read again (`opshub resync`).
CREATE TABLE source_table (
    system     text   NOT NULL,
    table_name text   NOT NULL,
    oid        bigint NOT NULL,
    leaves     jsonb  NOT NULL,
    gap        text,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, table_name)
);
COMMENT ON COLUMN source_table.oid IS 'of pg_class; 0 while the table does not exist';
COMMENT ON COLUMN source_table.leaves IS 'what holds its rows: {oid: name} of its partitions, or of itself';
COMMENT ON COLUMN source_table.gap IS 'why changes of it may be missing; null when none are';

-- A sweep after a table was read again waits until its rows have come, however long that takes.
ALTER TABLE sweep ADD COLUMN after_records bigint;
COMMENT ON COLUMN sweep.after_records IS 'offsets of the topic, over its partitions, that must be counted before the sweep; null: none';

-- When a resync began that has not ended: it stops the connector in between.
ALTER TABLE source_state ADD COLUMN resync_at timestamptz;

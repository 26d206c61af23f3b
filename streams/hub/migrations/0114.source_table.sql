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

-- When a resync began that has not ended: it stops the connector in between.
ALTER TABLE source_state ADD COLUMN resync_at timestamptz;

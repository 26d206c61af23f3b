-- depends: 0118.people

-- What is not read for now: a source (its connector is paused), or a table (workers leave its raw topic unread).
CREATE TABLE capture_pause (
    scope      text PRIMARY KEY,
    who        text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    kept_bytes bigint
);
COMMENT ON COLUMN capture_pause.scope IS '<system>, or <system>/<schema.table>';
COMMENT ON COLUMN capture_pause.kept_bytes IS 'WAL that the slot of the source held back when the pause began';

-- Where the account of a raw topic stood when a day began (UTC): what is counted since then is the rows of the day.
CREATE TABLE raw_account_day (
    topic   text   NOT NULL,
    day     date   NOT NULL,
    counted bigint NOT NULL,
    PRIMARY KEY (topic, day)
);

ALTER TABLE raw_account ADD COLUMN counted_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN raw_account.counted_at IS 'when the last record of the partition was counted';

-- Tables whose rows are read once more while capture goes on.
CREATE TABLE table_snapshot (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system      text   NOT NULL,
    table_name  text   NOT NULL,
    condition   text,
    rows        bigint NOT NULL,
    ends        bigint NOT NULL,
    who         text   NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    outcome     text
);
COMMENT ON COLUMN table_snapshot.rows IS 'rows of the table that met the condition at the request';
COMMENT ON COLUMN table_snapshot.ends IS 'sum of the ends of the partitions of its raw topic at the request';
COMMENT ON COLUMN table_snapshot.outcome IS 'done or cancelled; null while it runs';
CREATE INDEX table_snapshot_running ON table_snapshot (system) WHERE ended_at IS NULL;

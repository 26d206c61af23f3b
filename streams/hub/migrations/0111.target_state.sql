-- depends: 0104.writeback

-- When a request of the intent was last sent over HTTP, and since when the target has it queued.
ALTER TABLE intent ADD sent_at timestamptz, ADD queued_at timestamptz;

-- Targets from which deliverers stay away now, because they do not answer or refuse everybody. A row goes when the target answers again.
CREATE TABLE target_away (
    target  text PRIMARY KEY,
    refuses boolean NOT NULL,
    problem text NOT NULL,
    since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    until   timestamptz NOT NULL
);
COMMENT ON COLUMN target_away.refuses IS 'it answers, and takes nothing from us: credentials, limits, a log-in page';
COMMENT ON COLUMN target_away.until IS 'nothing is sent before';

-- depends: 0003.writeback 0004.repair

-- What people were told, and not yet told the end of: whoever watches next repeats none of it, and says what is over.
CREATE TABLE notice (
    sink   text NOT NULL,
    name   text NOT NULL,
    what   text NOT NULL,
    remedy text NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (sink, name)
);
COMMENT ON COLUMN notice.sink IS 'log, webhook, slack or email';
COMMENT ON COLUMN notice.name IS '<code>/<where> of the problem';

-- What watches asks for these every 15 seconds.
CREATE INDEX dead_letter_seen ON dead_letter (seen_at);
CREATE INDEX intent_dead ON intent (done_at) WHERE state = 'dead';

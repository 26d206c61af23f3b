-- depends: 0117.join_again

-- What people did by pages, API and commands. A row is written before the deed and completed after it; nothing deletes rows but retention.
CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    who      text NOT NULL,
    what     text NOT NULL,                 -- the operation's name
    via      text NOT NULL,                 -- page, api, command
    about    text,                          -- id of the thing that it was done to
    why      text NOT NULL DEFAULT '',
    wanted   jsonb NOT NULL DEFAULT '{}',   -- what was asked for
    result   jsonb,                         -- what came of it, shortened
    failed   text                           -- why it was not done
);
CREATE INDEX audit_who ON audit (who, id);
CREATE INDEX audit_about ON audit (about, id) WHERE about IS NOT NULL;

-- depends: 0118.people

-- The cause of a dead letter: its reason without what only this record has (the row's key, long texts, numbers), so that records that failed alike
-- have the same. Short texts stay, as in `unknown currency: 'XAF'`.
CREATE FUNCTION dead_letter_cause(reason text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN
    left(regexp_replace(regexp_replace(regexp_replace(regexp_replace(split_part(reason, '; ', 1),
        '^([^: ]{1,80}) of [^:]*: ', '\1: '),
        '''[^'']*[0-9][^'']*''|''[^'']{25,}''', '…', 'g'),
        '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', '…', 'g'),
        '\y(?=\w*[0-9])\w{8,}\y|[0-9][0-9.,]{4,}', '…', 'g'), 200);
ALTER TABLE dead_letter
    ADD cause text NOT NULL GENERATED ALWAYS AS (dead_letter_cause(reason)) STORED,
    ADD cause_id text NOT NULL GENERATED ALWAYS AS (left(md5(topic || '|' || class || '|' || dead_letter_cause(reason)), 10)) STORED;
CREATE INDEX dead_letter_of_cause ON dead_letter (cause_id, id) WHERE state IN ('dead', 'retry');
-- Keys of Kafka records may be longer than an index entry.
CREATE INDEX dead_letter_parked ON dead_letter (topic, md5(key)) WHERE state = 'parked';
CREATE INDEX dead_letter_audit_record ON dead_letter_audit (dead_letter_id);

-- What waits for people is found without reading what does not.
CREATE INDEX intent_for_people ON intent (id) WHERE state = 'waiting';
CREATE INDEX intent_given_up ON intent (id) WHERE state IN ('dead', 'expired');
CREATE INDEX conflict_for_people ON conflict (seen_at DESC, id) WHERE resolved_at IS NULL AND outcome IN ('open', 'flip_flop');
CREATE INDEX conflict_standing ON conflict (seen_at DESC, id) WHERE resolved_at IS NULL;
CREATE INDEX conflict_decided ON conflict (seen_at DESC, id) WHERE outcome = 'decided';
CREATE INDEX identity_log_loser ON identity_log (loser);
CREATE INDEX identity_log_winner ON identity_log (winner);

-- Who takes care of a thing in the inbox, and until when it is out of sight. A thing without a row is nobody's, and in sight.
CREATE TABLE inbox_item (
    kind          text NOT NULL CHECK (kind IN ('approval', 'conflict', 'conflict_group', 'match', 'dead_letter', 'dead_letter_group', 'write_back', 'write_back_group')),
    id            text NOT NULL,
    assigned_to   text,
    snoozed_until timestamptz,
    changed_by    text NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, id)
);
COMMENT ON COLUMN inbox_item.id IS 'number of the intent or dead letter, id of the conflict, group, or `loser:winner` of a possible match';
CREATE INDEX inbox_item_snoozed ON inbox_item (kind, snoozed_until) WHERE snoozed_until IS NOT NULL;

CREATE TABLE inbox_comment (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind   text NOT NULL,
    id     text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    who    text NOT NULL,
    text   text NOT NULL
);
CREATE INDEX inbox_comment_item ON inbox_comment (kind, id, number);

-- What a person decided and sent to a worker, until the hub shows it. The row is also the claim: of two people, only one writes it.
CREATE TABLE sent_decision (
    kind    text NOT NULL,                       -- conflict or match
    id      text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text NOT NULL,
    what    text NOT NULL,
    expects jsonb NOT NULL,                      -- what the hub shows when it is done
    done_at timestamptz,
    PRIMARY KEY (kind, id)
);

-- Records that may be one, as the last search found them. What people decided since is left out when they are listed.
CREATE TABLE possible_match (
    loser    uuid NOT NULL,
    winner   uuid NOT NULL,
    entity   text NOT NULL,
    score    float8 NOT NULL,
    reason   text NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (loser, winner)
);
CREATE INDEX possible_match_score ON possible_match (score DESC, loser DESC, winner DESC);
CREATE TABLE match_search (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    at           timestamptz NOT NULL,
    not_compared bigint NOT NULL
);

-- Bulk work over what a filter matched. A console does it in the background; another takes over once the lease ended.
CREATE TABLE job (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action      text NOT NULL,
    wanted      jsonb NOT NULL,                  -- the filter and what is to be done
    who         text NOT NULL,
    reason      text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'failed')),
    total       int  NOT NULL DEFAULT 0,
    done        int  NOT NULL DEFAULT 0,
    failed      int  NOT NULL DEFAULT 0,
    skipped     int  NOT NULL DEFAULT 0,
    problem     text,
    cancelled_by text,
    leased_by   text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at  timestamptz,
    ended_at    timestamptz
);
CREATE INDEX job_open ON job (id) WHERE state IN ('queued', 'running');
CREATE TABLE job_item (
    job_id bigint NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    number int    NOT NULL,
    item   text   NOT NULL,
    state  text   NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'skipped')),
    detail text   NOT NULL DEFAULT '',
    at     timestamptz,
    PRIMARY KEY (job_id, number)
);
CREATE INDEX job_item_waiting ON job_item (job_id, number) WHERE state = 'waiting';

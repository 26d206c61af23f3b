-- depends: 0101.entities

-- One row for each disagreement: the same field of the same record with the same values has the same id.
CREATE TABLE conflict (
    id            uuid  PRIMARY KEY,
    aggregate_id  uuid  NOT NULL,
    entity        text  NOT NULL,
    entity_id     uuid  NOT NULL,
    field         text  NOT NULL,
    kind          text  NOT NULL,
    asserted     jsonb NOT NULL,
    winner        text,
    rule          text  NOT NULL,
    outcome       text  NOT NULL,
    turns        int   NOT NULL DEFAULT 1,
    seen_at       timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    decided_by    text
);
COMMENT ON COLUMN conflict.asserted IS '{system: {value, position, us, tx}}';
COMMENT ON COLUMN conflict.outcome IS
    'settled by rule, open (a person is asked), decided by a person, deleted, flip_flop, over (the systems agree, or contribute something else)';
COMMENT ON COLUMN conflict.turns IS 'edits of the field within the window that write-back overwrote; at the limit it is a flip_flop';
ALTER TABLE conflict ALTER asserted SET STATISTICS 0;

CREATE INDEX conflict_entity ON conflict (entity_id) WHERE resolved_at IS NULL;
-- Business rules that do not hold are conflicts of their flow, and are looked up whenever a flow comes to rest.
CREATE INDEX conflict_invariant ON conflict (aggregate_id) WHERE kind = 'invariant' AND resolved_at IS NULL;
-- When a record gives up a match key, the records that wait for the key are notified.
CREATE INDEX conflict_match_key ON conflict (entity, field) WHERE kind = 'match_key';
CREATE INDEX conflict_claimant ON conflict (entity_id) WHERE kind = 'match_key';

-- Edits by people that write-back overwrote: too many of one field within a window are two systems that overwrite each other.
CREATE TABLE turn (
    entity_id uuid   NOT NULL,
    field     text   NOT NULL,
    target    text   NOT NULL,
    at_us     bigint NOT NULL,
    PRIMARY KEY (entity_id, field, target, at_us)
);
COMMENT ON COLUMN turn.at_us IS 'when people of the target edited the field, microseconds since 1970 by its clock';

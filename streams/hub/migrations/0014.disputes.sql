-- depends: 0002.identity

-- Edits by people that write-back wrote over: too many of one field within a while are two systems that overwrite each other.
CREATE TABLE turn (
    entity_id uuid   NOT NULL,
    field     text   NOT NULL,
    target    text   NOT NULL,
    at_us     bigint NOT NULL,
    PRIMARY KEY (entity_id, field, target, at_us)
);
COMMENT ON COLUMN turn.at_us IS 'when people of the target edited the field, by its clock';
COMMENT ON COLUMN conflict.turns IS 'edits of the field within the window that write-back wrote over; at the limit it is a flip_flop';

-- Records of which a person said that they are two: no match key joins them, and nobody is asked again.
CREATE TABLE told_apart (
    one   uuid NOT NULL,
    other uuid NOT NULL CHECK (one < other),
    who   text NOT NULL,
    why   text NOT NULL DEFAULT '',
    at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (one, other)
);

-- Who waits for a match key is told when its holder lets it go.
CREATE INDEX conflict_match_key ON conflict (entity, field) WHERE kind = 'match_key';
CREATE INDEX conflict_claimant ON conflict (entity_id) WHERE kind = 'match_key';

-- A tax number is compared without the letters of its country.
UPDATE match_key SET guard = regexp_replace(guard, '^tax_id=[a-z]+', 'tax_id=') WHERE guard ~ '^tax_id=[a-z]+[0-9]';

-- depends: 0001.entities

-- One row for each disagreement: the same field of the same record with the same values has the same id.
DROP TABLE conflict;
CREATE TABLE conflict (
    id           uuid PRIMARY KEY,
    aggregate_id uuid NOT NULL,
    entity       text NOT NULL,
    entity_id    uuid NOT NULL,
    field        text NOT NULL,
    kind         text NOT NULL,
    said         jsonb NOT NULL,
    winner       text,
    rule         text NOT NULL,
    outcome      text NOT NULL,
    turns        int  NOT NULL DEFAULT 1,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    decided_by   text
);
COMMENT ON COLUMN conflict.said IS '{system: {value, position, us, tx}}';
COMMENT ON COLUMN conflict.outcome IS 'settled by rule, open (a person is asked), decided by a person, deleted, flip_flop, over (they agree, or say something else)';
COMMENT ON COLUMN conflict.turns IS 'times that it came back; past the limit it is a flip_flop';
CREATE INDEX conflict_entity ON conflict (entity_id) WHERE resolved_at IS NULL;

-- Which record a match key belongs to. The primary key decides between two workers that meet one customer at once.
CREATE TABLE match_key (
    entity  text NOT NULL,
    key     text NOT NULL,
    holder  uuid NOT NULL,
    rank    int  NOT NULL,
    systems text[] NOT NULL,
    guard   text,
    linked  uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (entity, key)
);
COMMENT ON COLUMN match_key.rank IS 'of the best system that contributes to the holder; a smaller one takes the key over, then the smaller id';
COMMENT ON COLUMN match_key.systems IS 'systems that already have a record here: a second record of one of them is a conflict, not a link';
COMMENT ON COLUMN match_key.guard IS 'a stronger key that must not differ';
COMMENT ON COLUMN match_key.linked IS 'records that are the same as the holder by this key';
CREATE INDEX match_key_holder ON match_key (holder);

-- What people did to identities, for `identity show`, and so that a split knows what a merge joined.
CREATE TABLE identity_log (
    at     timestamptz NOT NULL DEFAULT now(),
    who    text NOT NULL,
    what   text NOT NULL,
    loser  uuid NOT NULL,
    winner uuid NOT NULL,
    why    text NOT NULL DEFAULT ''
);

-- Figures of quality over time.
CREATE TABLE quality (
    at           timestamptz NOT NULL,
    entity       text NOT NULL,
    field        text NOT NULL,
    records      bigint NOT NULL,
    complete     bigint NOT NULL,
    invalid      bigint NOT NULL,
    repeated     bigint NOT NULL,
    disagreeing  bigint NOT NULL,
    orphans      bigint NOT NULL,
    PRIMARY KEY (at, entity, field)
);

ALTER TABLE entity ADD COLUMN product_ref uuid;
COMMENT ON COLUMN entity.product_ref IS 'source id of the product that it refers to, as the source said it';
CREATE INDEX entity_product_ref ON entity (product_ref) WHERE product_ref IS NOT NULL;

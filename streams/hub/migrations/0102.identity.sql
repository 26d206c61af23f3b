-- depends: 0101.entities

CREATE SEQUENCE identity_generation;

-- Ids that live in another aggregate than their own. A worker asks for the generations that it has not seen yet.
CREATE TABLE identity (
    source_id  uuid     PRIMARY KEY,
    target     uuid     NOT NULL,
    same       boolean  NOT NULL,
    generation bigint   NOT NULL,
    linked_at  bigint[] NOT NULL DEFAULT '{0,0,0}'
);
COMMENT ON COLUMN identity.same IS 'true: the id is the same entity as target; false: it lives in the aggregate target';
COMMENT ON COLUMN identity.linked_at IS
    'position of the source row that linked it (epoch, major, minor); {0,0,0}: a person or a match key. A worker that stalled may send an older link late: the newer one stands';
CREATE INDEX identity_generation_idx ON identity (generation) WHERE same;
-- When a record is linked, what was linked to it before must be found.
CREATE INDEX identity_target ON identity (target) WHERE same;

-- The record that a match key belongs to. The primary key decides between two workers that meet one customer at the same time.
CREATE TABLE match_key (
    entity  text   NOT NULL,
    key     text   NOT NULL,
    holder  uuid   NOT NULL,
    rank    int    NOT NULL,
    systems text[] NOT NULL,
    guard   text,
    linked  uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (entity, key)
);
COMMENT ON COLUMN match_key.rank IS 'rank of the best system that contributes to the holder; a smaller rank takes the key over, then the smaller id';
COMMENT ON COLUMN match_key.systems IS 'systems that already have a record here: a second record of one of them is a conflict, not a link';
COMMENT ON COLUMN match_key.guard IS 'a stronger key that must not differ';
COMMENT ON COLUMN match_key.linked IS 'records that are the same as the holder by this key';
CREATE INDEX match_key_holder ON match_key (holder);

-- What people did to identities: for `opshub identity show`, and so that a split knows what a merge joined.
CREATE TABLE identity_log (
    at        timestamptz NOT NULL DEFAULT now(),
    who       text NOT NULL,
    what   text NOT NULL,
    loser  uuid NOT NULL,
    winner uuid NOT NULL,
    reason text NOT NULL DEFAULT ''
);

-- Pairs of records that a person keeps separate: no match key joins them, and nobody is asked again.
CREATE TABLE kept_separate (
    first_id  uuid NOT NULL,
    second_id uuid NOT NULL CHECK (first_id < second_id),
    who       text NOT NULL,
    reason    text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (first_id, second_id)
);

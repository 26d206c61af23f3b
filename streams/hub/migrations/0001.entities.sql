-- depends:

-- One row for each id that any source ever named. `record` is the golden record; `contributions` is what each source
-- says, with its position. Rows are never deleted: a deleted entity keeps the positions that guard it.
CREATE TABLE entity (
    id            uuid    PRIMARY KEY,
    entity        text    NOT NULL,
    aggregate_id  uuid    NOT NULL,
    parent_id     uuid,
    merged_into   uuid,
    customer_ref  uuid,
    version       bigint  NOT NULL,
    revision      bigint  NOT NULL,
    deleted       boolean NOT NULL,
    updated_us    bigint  NOT NULL,
    record        jsonb   NOT NULL,
    contributions jsonb   NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN entity.aggregate_id IS 'whose one writer owns this row';
COMMENT ON COLUMN entity.merged_into IS 'this id is another name of that entity';
COMMENT ON COLUMN entity.customer_ref IS 'source id of the customer that it refers to, as the source said it';
COMMENT ON COLUMN entity.version IS 'of the golden record; what the canonical topic carries';
COMMENT ON COLUMN entity.revision IS 'of this row; a write names the revision it saw';
CREATE INDEX entity_aggregate ON entity (aggregate_id);
CREATE INDEX entity_customer_ref ON entity (customer_ref) WHERE customer_ref IS NOT NULL;

CREATE SEQUENCE identity_generation;

-- Ids that live in another aggregate than their own. `generation` lets a worker ask what it has not seen yet.
CREATE TABLE identity (
    source_id  uuid   PRIMARY KEY,
    target     uuid   NOT NULL,
    same       boolean NOT NULL,
    generation bigint NOT NULL
);
COMMENT ON COLUMN identity.same IS 'true: is the same entity as target; false: lives in the aggregate target';
CREATE INDEX identity_generation_idx ON identity (generation) WHERE same;

CREATE TABLE conflict (
    aggregate_id uuid NOT NULL,
    entity       text NOT NULL,
    entity_id    uuid NOT NULL,
    field        text NOT NULL,
    kind         text NOT NULL,
    said         jsonb NOT NULL,
    winner       text,
    rule         text NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    PRIMARY KEY (entity_id, field, kind)
);

CREATE TABLE dead_letter (
    topic      text   NOT NULL,
    partition  int    NOT NULL,
    position   bigint NOT NULL,
    key        bytea,
    value      bytea,
    stage      text   NOT NULL,
    class      text   NOT NULL,
    reason     text   NOT NULL,
    tried      int    NOT NULL DEFAULT 1,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    state      text   NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'retried', 'dropped')),
    PRIMARY KEY (topic, partition, position)
);

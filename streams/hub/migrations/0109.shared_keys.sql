-- depends: 0102.identity 0108.figures

-- Match keys that too many records of one system carry. They name nobody in particular, and link nothing.
CREATE TABLE shared_key (
    entity text NOT NULL,
    key    text NOT NULL,
    since  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity, key)
);

-- Who carries them: for people to see, and to know when a key is one record's again.
CREATE TABLE shared_key_record (
    entity    text   NOT NULL,
    key       text   NOT NULL,
    record_id uuid   NOT NULL,
    systems   text[] NOT NULL,
    PRIMARY KEY (entity, key, record_id),
    FOREIGN KEY (entity, key) REFERENCES shared_key ON DELETE CASCADE
);
CREATE INDEX shared_key_record_id ON shared_key_record (record_id);

ALTER TABLE quality ADD COLUMN anybody bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN quality.anybody IS 'values that link nothing: they stand for anybody, or are a shared key';

-- depends: 0004.repair

-- What dictionaries mended or forgave (a wrong encoding, an hour that came twice, a bad value taken as null), counted; the key is of the last row.
CREATE TABLE mapping_note (
    system   text NOT NULL,
    tbl      text NOT NULL,
    field    text NOT NULL,
    kind     text NOT NULL,
    count    bigint NOT NULL,
    reason   text NOT NULL,
    example  text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, tbl, field, kind)
);

-- depends: 0004.repair

-- The columns of each captured table as they were last seen: {number: [name, type]}; and what became of them.
CREATE TABLE source_shape (
    system  text NOT NULL,
    tbl     text NOT NULL,
    columns jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, tbl)
);
CREATE TABLE source_change (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    system text NOT NULL,
    tbl    text NOT NULL,
    kind   text NOT NULL,
    what   text NOT NULL,
    effect text NOT NULL
);

-- depends: 0108.figures

-- The type of each captured column, as streams/mapping/source_types.py names it: a worker reads values by it, and may have
-- no right to ask the source.
CREATE TABLE column_type (
    system     text  NOT NULL,
    table_name text  NOT NULL,
    columns    jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, table_name)
);
COMMENT ON COLUMN column_type.columns IS '{column: type}';

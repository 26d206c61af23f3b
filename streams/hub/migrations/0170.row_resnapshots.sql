-- depends: 0142.service_figures

CREATE TABLE row_resnapshot (
    system text NOT NULL,
    table_name text NOT NULL,
    condition text NOT NULL,
    value text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, table_name, condition, value)
);
COMMENT ON TABLE row_resnapshot IS
    'Rows of a source that looked up a row which changed since: its connector is asked to read them again';

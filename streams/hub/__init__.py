"""The hub database: the state of record. SQL in files, upserts by batch, migrations."""

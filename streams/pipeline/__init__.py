"""The steps of a record's way, each a function from a batch to its outputs: ingest, settle, assemble."""

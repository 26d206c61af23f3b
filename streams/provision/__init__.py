"""What has to exist before data can flow: topics, schemas, hub tables, connectors. `plan` says what would change, `apply` changes it."""

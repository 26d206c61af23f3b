"""What must exist before data can flow: topics, schemas, hub tables, connectors. `plan` lists changes, `apply` makes
them.
"""

"""A first dictionary for a database that nobody has described: `opshub map draft`."""

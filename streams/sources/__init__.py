"""Systems without a database: rows from interfaces, webhooks and files → raw records."""

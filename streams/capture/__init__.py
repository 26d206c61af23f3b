"""What capture has and lacks: slots, connectors, snapshots, schema drift, and the account of raw records."""

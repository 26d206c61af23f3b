"""The state of capture: slots, connectors, epochs, snapshots, schema drift, and the account of raw records."""

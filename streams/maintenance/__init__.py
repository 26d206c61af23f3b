"""Periodic upkeep of hub and Kafka: sweeps, hanging transactions, quality figures."""

"""Kafka clients, and the control records that opshub sends to its own workers."""

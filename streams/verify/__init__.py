"""Comparison of source tables, hub and topics, and re-resolving with new ownership rules."""

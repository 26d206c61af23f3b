"""Comparison of source tables, hub and topics; re-resolving with new ownership rules."""

"""Checks before a dictionary goes live: all its mistakes at once, its examples, and the live database."""

"""Watching: preflight checks, thresholds, alerts, and where their state is kept."""

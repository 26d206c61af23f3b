"""Monitoring: preflight checks, thresholds, alerts, and the watcher that runs them."""

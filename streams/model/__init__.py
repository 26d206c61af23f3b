"""What travels on the walk: changes, positions, states, and the canonical records."""

"""Where a change belongs, and the order-to-cash join: (state, change) → (state, outputs). Pure."""

"""Dead letters, and the comparison of systems, hub and topics in both directions."""

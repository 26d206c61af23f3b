"""Ownership, survivorship and conflicts: from what the systems say to one golden record. Pure."""

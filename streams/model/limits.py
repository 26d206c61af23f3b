"""How large a value and a record may be. Nothing is cut: what is larger is a dead letter that says so."""

from __future__ import annotations

TEXT = 1_000_000
"""Characters of a text, in whatever script: as many take up to 6 MB on the way."""

RECORD = 7_500_000
"""Bytes of a change or of a canonical record: our topics and producers take 8 MB."""

TOPIC = 8 * 1024 * 1024
"""Bytes of a batch that our topics take; a broker by itself takes 1 MB."""

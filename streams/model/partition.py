"""The name of a Kafka partition."""

from __future__ import annotations

Partition = tuple[str, int]
"""(topic, partition number)"""

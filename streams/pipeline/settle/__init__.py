"""The pure half of assemble: a batch of changes over aggregate states → rows, links, conflicts, intents and records to
emit.
"""

from streams.pipeline.settle.batch import Entangled, Group, SettleBatch, Settled
from streams.pipeline.settle.settling import merge_batch, settle, settle_merged

__all__ = ["Entangled", "Group", "SettleBatch", "Settled", "merge_batch", "settle", "settle_merged"]

"""Compares the account of raw records with the topics and with the dead letters in the hub."""

from __future__ import annotations

import psycopg

from streams.hub.raw_accounts import PartitionAccount, dead_letters_by_partition, load_raw_accounts
from streams.kafka.offsets import topic_offsets
from streams.model.partition import Partition
from streams.provision.systems import System
from streams.settings import Settings
from streams.verify.comparison import Comparison
from streams.verify.read_topics import offsets_without_record


def compare_accounts(settings: Settings, systems: list[System], comparison: Comparison) -> None:
    """Each raw partition: what it holds against what became of it. Offsets of transaction markers are no records."""
    with psycopg.connect(settings.hub) as hub:
        accounts = load_raw_accounts(hub)
        dead_letters = dead_letters_by_partition(hub)
    offsets = topic_offsets(settings.kafka, [topic for system in systems for topic in system.topics])
    for partition, (first, end) in offsets.items():
        account = accounts.get(partition, PartitionAccount(*partition, since=first, upto=first))
        kept = dead_letters.get(partition, 0)
        surplus = _surplus(settings, partition, account, first, end)
        unread = _unread(settings, partition, account, first, end)
        failed = account.dead + account.parked
        if unread or surplus or failed != kept:
            topic, number = partition
            comparison.accounts_balance = False
            comparison.examples.append(
                f"accounts: {topic} {number}: counted up to {account.upto} of {end}, {surplus:+d}, "
                f"{failed} dead or parked, {kept} of them in the hub"
            )


def _surplus(settings: Settings, partition: Partition, account: PartitionAccount, first: int, end: int) -> int:
    """Records that were counted too often, or (negative) not at all."""
    surplus = account.counted - (account.upto - account.since)
    if surplus < 0:
        # Markers are looked for only where some are suspected: it reads the whole stretch.
        surplus += offsets_without_record(settings, partition, max(account.since, first), min(account.upto, end))
    return surplus


def _unread(settings: Settings, partition: Partition, account: PartitionAccount, first: int, end: int) -> int:
    """Records behind those that were counted."""
    begin = max(account.upto, first)
    unread = max(0, end - begin)
    return unread - offsets_without_record(settings, partition, begin, end) if unread else 0

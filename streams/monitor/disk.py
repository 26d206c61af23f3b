"""Disk left where this worker is: with the native stack that is the disk of the sources, of Kafka and of the hub, too."""

from __future__ import annotations

import shutil

from streams.capture.finding import Finding
from streams.settings import Settings


def disk_left(settings: Settings) -> list[Finding]:
    """Whether less is left on the disk of `state_dir` than `alert_disk_left_gb`."""
    place = settings.state_dir.absolute()
    while not place.exists():
        place = place.parent
    try:
        left = shutil.disk_usage(place).free
    except OSError:
        return []
    if left >= settings.alert_disk_left_gb * 1e9:
        return []
    return [
        Finding(
            "disk-low",
            str(place),
            f"{left / 1e9:.1f} GB are left on the disk of {place}",
            "make room: a broker or database whose disk is full stops, and may not start again",
        )
    ]

"""Checks the disk of this worker. With the native stack that is also the disk of the sources, of Kafka and of the
hub.
"""

from __future__ import annotations

import shutil

from streams.capture.finding import Finding
from streams.settings import Settings


def check_disk(settings: Settings) -> list[Finding]:
    """A finding when less than `alert_disk_left_gb` is free on the disk of `state_dir`."""
    folder = settings.state_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    try:
        free_gb = shutil.disk_usage(folder).free / 1e9
    except OSError:  # the folder was removed meanwhile, or may not be read
        return []
    if free_gb >= settings.alert_disk_left_gb:
        return []
    return [
        Finding(
            "disk-low",
            str(folder),
            f"{free_gb:.1f} GB are free on the disk of {folder}",
            "make room: a broker or database stops when its disk is full, and may not start again",
        )
    ]

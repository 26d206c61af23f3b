"""Small disks that can be full: a tmpfs at the data folder of a server, in a mount namespace that ends with this
process.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

NEW_NAMESPACE = 0x20000
ROOM_MB = 6_000


def may_mount() -> bool:
    """Whether this process could part from the mounts of the machine; call it before any thread is started."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(NEW_NAMESPACE):
        return False
    return not subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode


class Disk:
    """A folder with a limit of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        _mount("-t", "tmpfs", "-o", f"size={ROOM_MB}m,mode=755", "opshub-disk", str(folder))

    def fill(self) -> None:
        """Nothing more fits from now on. A writer may be quicker than this: then it has a little more, once."""
        for spare in (0, 1, 4, 16):
            state = os.statvfs(self.folder)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            try:
                _mount("-o", f"remount,size={used + spare * 1_048_576}", str(self.folder))
            except subprocess.CalledProcessError:
                continue
            return
        raise AssertionError(f"{self.folder} does not get full")

    def end(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True)

    def free(self) -> None:
        _mount("-o", f"remount,size={ROOM_MB}m", str(self.folder))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)

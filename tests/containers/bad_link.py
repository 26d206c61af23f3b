"""A slow and lossy link: the kernel hands each packet of an NFQUEUE to this program, which lets it go later, or drops it.

In place of `tc netem`, which many kernels lack. Packets overtake each other where the delay varies, as on netem.
Run it in the network namespace of the packets, as root: python -m tests.containers.bad_link QUEUE DELAY_MS VARIES_MS LOSS.
Until SIGTERM; then it prints JSON, {delayed, dropped}: packets. `QUEUED` has the rule that sends packets here.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from types import FrameType

NETLINK_NETFILTER = 12
PACKET, VERDICT, CONFIG = (3 << 8 | kind for kind in (0, 1, 2))  # 3: the subsystem of queues
A_REQUEST = 1
COMMAND, PARAMETERS, MOST_WAITING = 1, 2, 3  # attributes of CONFIG
PACKET_HEADER, VERDICT_HEADER = 1, 2  # attributes of PACKET, of VERDICT
DROP, ACCEPT = 0, 1
NUMBER = 7
QUEUED = ("--jump", "NFQUEUE", "--queue-num", str(NUMBER), "--queue-bypass")
"""Without a program that listens, packets pass."""


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


class Queue:
    """One NFQUEUE of this network namespace; packets without their content. Raises OSError where the kernel refuses."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((0, 0))
        self._send(CONFIG, _attribute(COMMAND, struct.pack(">BxH", 1, socket.AF_INET)))
        self._send(CONFIG, _attribute(PARAMETERS, struct.pack(">IB", 0, 1)))
        self._send(CONFIG, _attribute(MOST_WAITING, struct.pack(">I", 65_536)))

    def _send(self, kind: int, attributes: bytes) -> None:
        family = struct.pack(">BBH", socket.AF_UNSPEC, 0, self._number)
        header = struct.pack("=IHHII", 16 + len(family) + len(attributes), kind, A_REQUEST, 0, 0)
        self._socket.send(header + family + attributes)

    def waiting(self, seconds: float) -> Iterator[int]:
        """Ids of the packets that came, after at most so many seconds."""
        if not select.select([self._socket], [], [], max(seconds, 0.0))[0]:
            return
        data = self._socket.recv(1 << 20)
        while len(data) >= 16:
            length, kind, _, _, _ = struct.unpack_from("=IHHII", data)
            at = 20
            while kind == PACKET and at + 4 <= length:
                size, name = struct.unpack_from("=HH", data, at)
                if name == PACKET_HEADER:
                    yield struct.unpack_from(">I", data, at + 4)[0]
                at += max(size + (-size % 4), 4)
            data = data[length + (-length % 4) :]

    def judge(self, packet: int, verdict: int) -> None:
        self._send(VERDICT, _attribute(VERDICT_HEADER, struct.pack(">II", verdict, packet)))


def main(number: int, delay_s: float, varies_s: float, loss: float) -> None:
    def end(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    queue, chance = Queue(number), random.Random(1)
    leaving: list[tuple[float, int]] = []
    counts = {"delayed": 0, "dropped": 0}
    try:
        while True:
            for packet in queue.waiting(leaving[0][0] - time.monotonic() if leaving else 60.0):
                if chance.random() < loss:
                    counts["dropped"] += 1
                    queue.judge(packet, DROP)
                else:
                    counts["delayed"] += 1
                    heapq.heappush(leaving, (time.monotonic() + delay_s + chance.uniform(-varies_s, varies_s), packet))
            while leaving and leaving[0][0] <= time.monotonic():
                queue.judge(heapq.heappop(leaving)[1], ACCEPT)
    except KeyboardInterrupt:
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3]) / 1000, float(sys.argv[4]))

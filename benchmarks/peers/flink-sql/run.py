"""Flink SQL, in Java (`Peer.java`): a cluster within the process, a parallelism of two."""

from __future__ import annotations

import sys

from benchmarks.peers.java import run

sys.exit(run("flink-sql"))

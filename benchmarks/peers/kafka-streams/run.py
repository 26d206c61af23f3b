"""Kafka Streams, in Java (`Peer.java`): two threads, as its guide says for two cores."""

from __future__ import annotations

import sys

from benchmarks.peers.java import run

sys.exit(run("kafka-streams"))

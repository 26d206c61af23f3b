"""The deliverer: approved intents → the databases and APIs of target systems. It reads the hub, so it is no Faust
agent.
"""

from __future__ import annotations

import os

from streams.paths import connectors_dir
from streams.runtime.fault_points import fault_point
from streams.settings import Settings
from streams.stack.environment import load_env, resolve_placeholders
from streams.writeback.deliver import Deliverer
from streams.writeback.http import HttpAdapter
from streams.writeback.jobs import Adapter
from streams.writeback.load import load_rules
from streams.writeback.rules import SqlTarget
from streams.writeback.sql import SqlAdapter


def build_deliverer(settings: Settings) -> Deliverer:
    """Delivers to every system that has a writeback.yaml. Raises ConfigError for one that is wrong."""
    env = load_env(settings)
    rules = load_rules(
        connectors_dir(settings), settings.systems, lambda text, path: resolve_placeholders(text, env, path)
    )
    name = settings.worker
    adapters: dict[str, Adapter] = {
        system: SqlAdapter(writeback.target, name, fault=fault_point)
        if isinstance(writeback.target, SqlTarget)
        else HttpAdapter(writeback.target, fault=fault_point)
        for system, writeback in rules.items()
    }
    # With the process id: leases of a worker that was killed must not count as those of its successor.
    return Deliverer(settings.hub, f"{name}-{os.getpid()}", rules, adapters)

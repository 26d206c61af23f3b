"""Read `connectors/ownership.yaml`: who masters what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from streams.errors import ConfigError
from streams.model.entities import ENTITIES
from streams.resolve.golden import Ownership


def load_ownership(path: Path) -> Ownership:
    """The ownership rules; where the file is missing no system goes before another but by its name.

    Raises ConfigError that names file, entity and field.
    """
    if not path.is_file():
        return Ownership()
    try:
        told: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}", remedy="mend the YAML") from error
    ranks: dict[str, list[str]] = {}
    fields: dict[str, dict[str, list[str]]] = {}
    for entity, rule in told.get("entities", {}).items():
        if entity not in ENTITIES:
            raise ConfigError(f"{path}: there is no entity {entity!r}", remedy=f"one of {', '.join(sorted(ENTITIES))}")
        ranks[entity] = [str(system) for system in rule.get("owner", [])]
        for field, systems in (rule.get("fields") or {}).items():
            if field not in ENTITIES[entity].fields:
                raise ConfigError(
                    f"{path}: {entity} has no field {field!r}",
                    remedy=f"one of {', '.join(sorted(ENTITIES[entity].fields))}",
                )
            fields.setdefault(entity, {})[field] = [str(system) for system in systems]
    return Ownership(ranks, fields)

"""Mistakes in the ownership rules of one entity that their form does not show: names that do not exist, rules that
cannot work. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from streams.dictionary.yaml_lines import YamlPath
from streams.model.entities import ENTITIES, FieldType
from streams.resolve.ownership_file import EntityOwnership, StageRule

MATCHED = ("customer", "product")
"""Entities whose records match keys can link."""


class Mistake(NamedTuple):
    """What is wrong, and what would be right; `at` is the place within the entity."""

    at: YamlPath
    what: str
    right: str


def suggestion(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, and all that exist."""
    names = sorted(names)
    close = get_close_matches(name, names, 1)
    return (f"did you mean {close[0]}? " if close else "") + f"there are {', '.join(names)}"


def entity_mistakes(name: str, entity: EntityOwnership, systems: Collection[str]) -> Iterator[Mistake]:
    """All mistakes of one entity. `systems`: all systems; empty if they are not known."""
    if name not in ENTITIES:
        mapped = [known for known, model in ENTITIES.items() if not model.computed]
        yield Mistake((), f"there is no entity {name!r}", suggestion(name, mapped))
        return
    if ENTITIES[name].computed:
        yield Mistake((), f"{name} is worked out by the hub, no system says it", "give rules to what it is made of")
        return
    fields = ENTITIES[name].fields
    yield from _owner_mistakes(("owner",), entity.owner, systems)
    if entity.stage is not None and entity.stage not in fields:
        yield Mistake(("stage",), f"{name} has no field {entity.stage!r}", suggestion(entity.stage, fields))
    for number, key in enumerate(entity.match):
        yield from _key_mistakes(("match", number), name, key, fields)
    if entity.match and name not in MATCHED:
        only = " and ".join(MATCHED)
        yield Mistake(("match",), f"records of {name} are not joined by keys", f"only those of {only} are")
    for field, rule in entity.fields.items():
        at = ("fields", field)
        if field not in fields:
            yield Mistake(at, f"{name} has no field {field!r}", suggestion(field, fields))
            continue
        yield from _rule_mistakes(at, fields[field], rule, systems)
        stages = fields[entity.stage].values if entity.stage in fields else ()
        if rule.stages and entity.stage is None:
            what = f"there are stages, but {name} names no `stage` field"
            yield Mistake((*at, "stages"), what, "add `stage: status` to the entity")
        for stage, special in rule.stages.items():
            if stages and stage not in stages:
                what = f"{entity.stage} is never {stage!r}"
                yield Mistake((*at, "stages", stage), what, suggestion(stage, stages))
            yield from _rule_mistakes((*at, "stages", stage), fields[field], special, systems)


def _owner_mistakes(at: YamlPath, owner: tuple[str, ...], systems: Collection[str]) -> Iterator[Mistake]:
    for number, system in enumerate(owner):
        if systems and system not in systems:
            yield Mistake((*at, number), f"there is no system {system!r}", suggestion(system, systems))
        if system in owner[:number]:
            yield Mistake((*at, number), f"{system} is there twice", "keep the first")


def _key_mistakes(
    at: YamlPath, entity: str, key: tuple[str, ...], fields: Mapping[str, FieldType]
) -> Iterator[Mistake]:
    for name in key:
        field = "email" if name == "email_domain" else name
        if field not in fields:
            names = [*fields, "email_domain"] if "email" in fields else list(fields)
            yield Mistake(at, f"{entity} has no field {name!r}", suggestion(name, names))
        elif fields[field].kind in ("map", "tags", "bool"):
            yield Mistake(at, f"{name} is {fields[field].kind} and no key", "take a field that few records share")
    if not key or set(key) == {"email_domain"}:
        what = "everybody at one domain would be one record" if key else "an empty key"
        yield Mistake(at, what, "add what distinguishes them, as in [email_domain, name]")


def _rule_mistakes(at: YamlPath, field: FieldType, rule: StageRule, systems: Collection[str]) -> Iterator[Mistake]:
    yield from _owner_mistakes((*at, "owner"), rule.owner, systems)
    for system in rule.trust:
        if systems and system not in systems:
            yield Mistake((*at, "trust", system), f"there is no system {system!r}", suggestion(system, systems))
    if rule.policy == "trust" and not rule.trust:
        yield Mistake(at, "`trust` does not say whom", "add `trust: {system: number}`")
    if rule.trust and rule.policy != "trust":
        what = f"the policy is {rule.policy}, which asks nobody's trust"
        yield Mistake((*at, "trust"), what, "add `policy: trust`")
    if rule.policy == "sum" and field.kind not in ("int", "decimal"):
        yield Mistake(at, f"{field.kind} can not be summed", "another policy, such as owner or newest")
    if rule.policy == "union" and field.kind not in ("tags", "map"):
        yield Mistake(at, f"{field.kind} has no union", "another policy, such as owner or complete")
    if rule.restore and rule.policy in ("sum", "union"):
        what = "there is no value of one system to restore"
        yield Mistake((*at, "restore"), what, "take `restore` out, or another policy")

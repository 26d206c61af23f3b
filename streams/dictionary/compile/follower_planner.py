"""Plans which rows follow the rows that they look up (`follow`).

In: a dictionary. Out: for each lookup with `follow`, the condition by which the source finds the rows that look up a
given value. Raises nothing: what cannot be followed is added to the problems, with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.dictionary.language.dictionary import Dictionary, Target
from streams.dictionary.language.mapping_rule import Lookup, MappingRule, Reference, Value
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.followers import VALUES, Follower

Wrong = Callable[[YamlPath, str, str], None]


def followers_of(dictionary: Dictionary, wrong: Wrong) -> list[Follower]:
    """Every lookup with `follow`, once."""
    followers: dict[Follower, None] = {}
    for name, table in dictionary.tables.items():
        for number, target in enumerate(table.to):
            for path, rule in _rules(target, ("tables", name, "to", number)):
                for follower in _of_rule(dictionary, name, rule, path, wrong):
                    followers[follower] = None
    return list(followers)


def _rules(target: Target, path: YamlPath) -> Iterator[tuple[YamlPath, MappingRule | Reference | Value]]:
    for group, rules in (("fields", target.fields), ("attributes", target.attributes), ("with", target.with_)):
        for name, rule in rules.items():
            yield (*path, group, name), rule
    for name, reference in (("parent", target.parent), ("same_as", target.same_as)):
        if reference is not None:
            yield (*path, name), reference


def _of_rule(
    dictionary: Dictionary, table: str, rule: MappingRule | Reference | Value, path: YamlPath, wrong: Wrong
) -> Iterator[Follower]:
    lookup, path = rule.lookup, (*path, "lookup")
    condition = f"{_identifier(dictionary, rule.column)} IN ({VALUES})" if rule.column is not None else ""
    changed = bool(rule.steps or rule.typed or getattr(rule, "path", None) or getattr(rule, "split", None))
    while lookup is not None:
        looked_into = dictionary.tables.get(lookup.table)
        if looked_into is None or (
            lookup.follow and not _can_follow(dictionary, lookup, condition, changed, path, wrong)
        ):
            return
        (by,) = lookup.keyed_by(looked_into.key)[:1] or ("",)
        if lookup.follow:
            columns = (by, lookup.column, *lookup.order, *lookup.where)
            new_matters = lookup.take != "one" or lookup.unknown in ("null", "pass")
            yield Follower(lookup.table, tuple(dict.fromkeys(columns)), by, table, condition, new_matters)
        # Rows that look up what this row looks up next: a query within the condition finds them.
        name = ".".join(_identifier(dictionary, word) for word in lookup.table.split(".", 1))
        column, named_by = _identifier(dictionary, lookup.column), _identifier(dictionary, by)
        inner = f"SELECT {named_by} FROM {name} WHERE {column} IN ({VALUES})"
        condition = condition.replace(VALUES, inner) if condition else ""
        changed = changed or bool(lookup.steps or lookup.typed or lookup.take != "one")
        lookup, path = lookup.then, (*path, "then")


def _can_follow(
    dictionary: Dictionary, lookup: Lookup, condition: str, changed: bool, path: YamlPath, wrong: Wrong
) -> bool:
    if not condition or changed:
        wrong(
            (*path, "follow"),
            "what is looked up is not a column as it is: the database cannot be asked for the rows that look it up",
            "give one column without steps, types or an expression, or `opshub resync` after a change",
        )
        return False
    if dictionary.tables[lookup.table].before != "full":
        wrong(
            (*path, "follow"),
            f"a change of {lookup.table} does not say what the row was before",
            f"add `before: full` to {lookup.table}, and set it to REPLICA IDENTITY FULL",
        )
        return False
    return True


def _identifier(dictionary: Dictionary, name: str) -> str:
    """A name as SQL of the source quotes it."""
    quote = '"' if dictionary.kind == "postgres" else "`"
    return quote + name.replace(quote, quote * 2) + quote

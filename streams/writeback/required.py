"""Whether a rule knows what it must know before anything is sent. Pure.

A reference that is not known, or a value of a line, must not become null in the target in silence: a line without its
product is an order that nobody can ship. Such a value is required unless the rule says `required: false`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from streams.model.entities import ENTITIES
from streams.writeback.values import ValueSpec, reach

Place = Literal["params", "lines", "values"]
"""Where the rule has the value."""

_REFERENCES = {name for entity in ENTITIES.values() for name, kind in entity.fields.items() if kind.kind == "ref"}
_OWN_ROOTS = ("record", "keys", "contributions", "subject", "given", "intent", "target", "line")
"""What paths may begin with, beside the names of references."""


def why_missing(spec: ValueSpec, value: object, document: Mapping[str, object], place: Place) -> str | None:
    """Why the value that a rule made of this document is not known; None where it is known, or may be null.

    `value`: what `value_of` returned.
    """
    if value is not None and value != "":
        return None
    if spec.path is None or spec.required is False:
        return None
    source = reach(document, spec.path)
    is_known = source is not None and source != ""
    if not (spec.required or place == "lines" or is_known or is_reference(spec.path, document, place)):
        return None
    if is_known:
        # The source has a value, and the rule made nothing of it.
        return f"{spec.path} is {source!r}, for which `values` has nothing"
    return f"{spec.path} is not known"


def is_reference(path: str, document: Mapping[str, object], place: Place) -> bool:
    """Whether an empty value at this path means that something is not known, not that it is empty: a key in a system,
    a reference, what another delivery returned, or a field of a record or a contribution that is not there.
    """
    root, *rest = path.split(".")
    if root == "given" or "keys" in (root, *rest[:1]):
        return True
    if place == "params" and rest and rest[-1] in _REFERENCES:
        return True
    if root not in _OWN_ROOTS and root not in document:
        return True
    steps = [root, *rest]
    if "contributions" in steps[:2]:
        system = steps[: steps.index("contributions") + 2]
        return reach(document, ".".join(system)) is None
    return False

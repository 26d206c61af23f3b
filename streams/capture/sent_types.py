"""The types of Postgres columns that Debezium reads. It leaves columns of other types out, without a word.

From PostgresValueConverter.schemaBuilder of Debezium 3.7, and tried on a real connector (include.unknown.datatypes is
false: with true such a column comes as encoded bytes).
"""

from __future__ import annotations

_BOTH = frozenset(
    "int2 int4 int8 oid numeric float4 float8 bool text varchar bpchar citext uuid bytea bit json jsonb hstore ltree "
    "date timestamp timestamptz time timetz inet cidr macaddr macaddr8 geometry geography "
    "int4range int8range numrange daterange tsrange tstzrange".split()
)
"""As a column and as items of an array."""
_ALONE = _BOTH | frozenset(
    "name char money interval xml varbit point box lseg path polygon circle line tsvector vector halfvec sparsevec "
    "isbn".split()
)
_ITEMS = _BOTH | {"char"}
_VECTORS = frozenset({"int2vector", "oidvector"})
"""Arrays to the catalogue; they come empty."""


def is_sent(base: str, kind: str, item: str | None, item_kind: str | None) -> bool:
    """Whether Debezium sends a column: `base` is its type (pg_type.typname) below a domain, `kind` its typtype, `item`
    and `item_kind` those of an array's items.
    """
    if item is not None:
        if base in _VECTORS:
            return False
        return item_kind == "e" or (item_kind in ("b", "r") and item in _ITEMS)
    return kind == "e" or (kind in ("b", "r") and base in _ALONE)

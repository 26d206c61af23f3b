"""The columns of a record's key: their types, and the Python that makes the key's text of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.dictionary.language.dictionary import Dictionary
from streams.mapping.source_types import ColumnTypes, SourceType, source_type


def key_types(
    dictionary: Dictionary, types: Mapping[str, ColumnTypes] | None, entity: str, namespace: str | None
) -> list[SourceType | None]:
    """The types of the columns that are the key of a record of this system; empty where they are not known."""
    for name, table in dictionary.tables.items():
        for target in table.to:
            if (target.entity, target.namespace) == (entity, namespace) and not target.part_of:
                if types is None:
                    return []
                known = types.get(name, {})
                return [source_type(known.get(column, "unknown")) for column in target.key_columns or table.key]
    return []


def key_python(local: Sequence[str], forms: Sequence[str]) -> str:
    """The expression for the text of a key; `forms`: for each column a function that makes its text, or ''.

    A text is used as it is, without a call: the usual key is a text.
    """
    if len(local) == 1:
        if forms[0]:
            return f"{forms[0]}({local[0]})"
        return f"{local[0]} if {local[0]}.__class__ is str else key_text({local[0]})"
    given = [f"{form}({column})" if form else column for column, form in zip(local, forms, strict=True)]
    return f"'|'.join(({', '.join(f'key_part({column})' for column in given)}))"

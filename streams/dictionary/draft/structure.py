"""What the shape of a database says about its tables: which are kept for history, which hang together. Pure.

In: the catalogue, and the entity that is proposed for each table so far. Out: by how much a proposal becomes surer or
less sure. Names alone would take `sale_sale_history` for orders, and `billing_productline` for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.dictionary.canonical_fields import EntityType
from streams.dictionary.live_tables import LiveTable

_SECONDARY = re.compile(
    r"(?:^|_| )(?:history|hist|histor\w+|audit|log|logs|archive|archiv|backup|bak|old|tmp|temp|version|versions|deleted"
    r"|revision|tracking|template|templates|recurring|rec|rel|cstm|import|staging|draft|report|protokoll|journal|group"
    r"|groups|category|categories|type|types|status|stage|stages|tax|taxes|period|config|setting|settings|attachment"
    r"|price|prices|pricelist|term|terms|rate|rates|method|methods|reason|reference|information|address|addresses|uom"
    r"|fournisseur_price|mechanism|identifier|user|users)(?:$|_| )|历史|日志|明细日志|备份|归档|模板|类别|分类"
)
"""Words of tables that hold what became of records, or what records are chosen from, and no records themselves."""
_OWN_WORDS = {
    "stock_movement": {"journal"},
    "goods_receipt": {"reference"},
}
"""Entity → words that say nothing against it."""

SECONDARY, HISTORY_COLUMNS = 0.35, 0.2
NO_PARENT, PARENT, REFERENCE, SMALL = 0.15, 0.1, 0.05, 0.05
LINE_OF_NOTHING, NAMED, MOST_NAMED = 0.25, 0.01, 0.1
OF_A_PRODUCT = ("inventory_level", "stock_movement", "bill_of_materials_line", "reservation")


def is_secondary(table: str, entity: str) -> bool:
    """Whether the name says that the table has history, templates, links or codes in place of records."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", table.split(".", 1)[1]).lower().replace(" ", "_")
    words = {match.strip("_ ") for match in _SECONDARY.findall(name.replace("_", "__"))}
    return bool(words - _OWN_WORDS.get(entity, set()))


def shape_score(
    table: LiveTable, entity: EntityType, catalog: Mapping[str, LiveTable], chosen: Mapping[str, str]
) -> float:
    """How the shape of a table changes the confidence that it is `entity`. `chosen`: table → entity, of the others."""
    score = 0.0
    if is_secondary(table.name, entity.name):
        score -= SECONDARY
    columns = {column.lower() for column in table.columns}
    if {"before_value_string", "after_value_string"} & columns or "__id" in columns or "old_value" in columns:
        score -= HISTORY_COLUMNS
    referenced = {chosen[key.table] for key in table.foreign_keys if key.table in chosen and key.table != table.name}
    if entity.is_line and entity.parent in chosen.values():
        # A line names its document: with foreign keys in the database, one that does not is no line of it.
        score += PARENT if entity.parent in referenced else -NO_PARENT if table.foreign_keys else 0.0
    elif entity.is_line and table.foreign_keys:
        score -= LINE_OF_NOTHING
    if entity.name in OF_A_PRODUCT and "product" in chosen.values() and table.foreign_keys:
        score -= 0.0 if "product" in referenced else NO_PARENT
    if entity.parent is None and not entity.is_line:
        naming = sum(any(key.table == table.name for key in other.foreign_keys) for other in catalog.values())
        score += min(MOST_NAMED, NAMED * naming)
    wanted = {field.ref for field in entity.fields.values() if field.ref is not None}
    score += REFERENCE * min(2, len(referenced & wanted))
    if not entity.is_line and table.rows < 10 and _most_rows(catalog) > 1000:
        score -= SMALL  # a table of codes, in a database with years of records
    return score


def _most_rows(catalog: Mapping[str, LiveTable]) -> int:
    return max((table.rows for table in catalog.values()), default=0)

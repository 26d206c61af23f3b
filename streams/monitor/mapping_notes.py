"""What dictionaries mended or forgave, as the hub counts it: for `opshub status` and `opshub map explain`."""

from __future__ import annotations

from typing import Any

import psycopg

from streams.errors import EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.settings import Settings

_NAMES = ("system", "table", "field", "kind", "count", "reason", "example", "since", "last")
_TOLD = """SELECT system, tbl, field, kind, count, reason, example, to_char(first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    to_char(last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM mapping_note WHERE field = %(field)s OR (%(field)s = '' AND last_at > now() - interval '30 days')
ORDER BY last_at DESC, count DESC LIMIT 200"""


def told(settings: Settings, field: str = "") -> list[dict[str, Any]]:
    """What was mended in the last thirty days, the latest first; or whenever, in one field (`customer.tax_id`).

    Raises EnvironmentFault while the hub does not answer.
    """
    try:
        with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
            rows = hub.execute(_TOLD, {"field": field}).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.Error as error:
        raise EnvironmentFault(
            f"the hub does not answer: {str(error).strip()}", remedy="`opshub up` starts it"
        ) from error
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]

"""Values that dictionaries changed or accepted as null: for `opshub status` and `opshub map explain`."""

from __future__ import annotations

from streams.hub.mapping_notes import MappingNoteCount, load_mapping_notes
from streams.hub.session import hub_session
from streams.settings import Settings


def mapping_notes(settings: Settings, field: str = "") -> list[MappingNoteCount]:
    """Of the last thirty days, the latest first; or of one field (`customer.tax_id`), however old.

    Raises EnvironmentFault while the hub does not answer.
    """
    with hub_session(settings.hub) as hub:
        return load_mapping_notes(hub, field)

"""`python -m streams.settings docs/settings.md`: write the page of all settings."""

import sys
from pathlib import Path

from streams.settings.page import settings_page

Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8")

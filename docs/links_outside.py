"""Hook of mkdocs: a link to a file of the repository outside docs/ becomes the name of the file, which the site
lacks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.resolve()


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace `[text](../../connectors/x)` by `text (connectors/x)`; broken links stay, so that the build fails."""
    folder = Path(page.file.abs_src_path).parent

    def replace(match: re.Match[str]) -> str:
        text, link = match[1], match[2]
        target = (folder / link.split("#")[0]).resolve()
        if ":" in link or target.is_relative_to(DOCS) or not target.exists():
            return match[0]
        return f"{text} (`{target.relative_to(DOCS.parent)}`)"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", replace, markdown)

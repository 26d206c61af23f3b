"""The page of every word of HTTP targets: its samples are rules without errors, and it names every word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from streams.writeback import http_rules
from streams.writeback.load import load_rules

PAGE = (Path(__file__).parents[2] / "docs/guides/write-back-http.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("sample", SAMPLES, ids=["rpc", "bodies", "pages", "batch"])
def test_sample_of_the_page_is_a_file_without_errors(tmp_path: Path, sample: str) -> None:
    (tmp_path / "my-erp").mkdir()
    content = {"system": "my-erp", **yaml.safe_load(sample)}
    (tmp_path / "my-erp/writeback.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_rules(tmp_path, ["my-erp"])


def test_page_names_every_word() -> None:
    classes = [c for c in vars(http_rules).values() if isinstance(c, type) and issubclass(c, BaseModel)]
    words = {field.alias or name for c in classes for name, field in c.model_fields.items()}
    named = set(re.findall(r"[a-z_]\w*", " ".join(re.findall(r"`[^`]*`", PAGE))))
    assert words - named == set()

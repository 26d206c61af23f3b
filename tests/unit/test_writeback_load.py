"""Reading writeback.yaml: errors name file and field, secrets stay as they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.writeback.load import load_rules
from streams.writeback.rules import WritebackConfig, duration
from tests.unit.writeback_records import CONNECTORS


def test_duration_has_a_number_and_a_unit() -> None:
    assert duration("90 s") == timedelta(seconds=90)
    with pytest.raises(ValueError, match="no duration"):
        duration("soon")


def test_error_names_file_and_field(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    file = folder / "writeback.yaml"
    text = (
        (CONNECTORS / "demo-crm" / "writeback.yaml")
        .read_text(encoding="utf-8")
        .replace("system: demo-crm", "system: shop", 1)
    )
    for wrong, message in (
        (text.replace("entity: order_flow", "entity: order_flows"), "rules.order_state: .*order_flows"),
        (text.replace("about: Sales see", "schedule: every day\n    about: Sales see"), "credit_block.schedule"),
        (text.replace("origins: [opshub]", "origins: [mine]"), "origin 'mine'"),
        (text, "order_number.after: there is no rule"),
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=message) as caught:
            load_rules(tmp_path, ["shop"])
        assert str(file) in str(caught.value)


def test_secret_is_not_read_as_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "demo-erp"
    folder.mkdir()
    (tmp_path / "demo-crm").mkdir()
    (folder / "writeback.yaml").write_text(
        (CONNECTORS / "demo-erp" / "writeback.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    config: WritebackConfig = load_rules(
        tmp_path, ["demo-erp"], lambda text, _: ": {'#" if "PASSWORD" in text else text
    )["demo-erp"]
    assert config.target.adapter == "sql" and config.target.password == ": {'#"

"""Mistakes in source.json are reported before anything is captured: otherwise nothing would arrive, and nothing would show why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.capture.connector_config import check_source_file
from streams.errors import ConfigError
from streams.provision.systems import load_systems
from streams.settings import Settings

CONNECTORS = Path(__file__).parents[2] / "connectors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CONNECTORS, tmp_path / "connectors")
    return tmp_path / "connectors"


def settings(folder: Path, *systems: str) -> Settings:
    return Settings(_env_file=None, connectors_dir=folder, systems=list(systems))  # type: ignore[call-arg]


def rewrite(folder: Path, system: str, **values: str | None) -> None:
    path = folder / system / "source.json"
    source: dict[str, Any] = json.loads(path.read_text())
    for name, value in values.items():
        key = name.replace("_", ".")
        if value is None:
            del source["config"][key]
        else:
            source["config"][key] = value
    path.write_text(json.dumps(source))


def findings(folder: Path, system: str) -> list[tuple[str, str]]:
    (loaded,) = load_systems(settings(folder, system))
    return [(one.code, one.what.split(":")[0]) for one in check_source_file(loaded)]


def test_the_systems_that_come_with_opshub_have_no_findings(folder: Path) -> None:
    assert findings(folder, "demo-crm") == findings(folder, "demo-erp") == []


def test_settings_that_change_the_form_of_values_are_findings(folder: Path) -> None:
    rewrite(
        folder,
        "demo-erp",
        decimal_handling_mode=None,
        time_precision_mode="adaptive",
        value_converter_schemas_enable="true",
    )
    assert findings(folder, "demo-erp") == [
        ("source-setting", "decimal.handling.mode is not set"),
        ("source-setting", "time.precision.mode is adaptive"),
        ("source-setting", "value.converter.schemas.enable is true"),
    ]


def test_exactly_once_support_is_a_finding(folder: Path) -> None:
    rewrite(folder, "demo-erp", exactly_once_support="required")
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.side) == ("source-setting", "input") and "exactly.once.support" in only.what


def test_tables_that_the_connector_excludes_are_findings(folder: Path) -> None:
    rewrite(
        folder,
        "demo-erp",
        table_include_list="erp.cust,erp.item, erp.st.*,erp.so_head,ERP.SO_LINE,erp.dlv_head,erp.dlv_line,erp.inv_line,erp.pay",
    )
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.where, only.side) == ("table-not-captured", "demo-erp: erp.inv_head", "input")
    rewrite(folder, "demo-erp", table_include_list=None, table_exclude_list="erp[.](cust|pay)")
    assert [one.where for one in check_source_file(load_systems(settings(folder, "demo-erp"))[0])] == [
        "demo-erp: erp.cust",
        "demo-erp: erp.pay",
    ]
    rewrite(folder, "demo-erp", table_exclude_list=None, schema_include_list="sales")
    assert len(check_source_file(load_systems(settings(folder, "demo-erp"))[0])) == 10


@pytest.mark.parametrize("kept", ["name", "topic.prefix", "slot.name"])
def test_a_copied_source_with_names_of_the_other_system_is_refused(folder: Path, kept: str) -> None:
    shutil.copytree(folder / "demo-erp", folder / "my-erp")
    for path, old, new in (
        (folder / "my-erp/dictionary.yaml", "system: demo-erp", "system: my-erp"),
        (folder / "my-erp/source.json", "demo-erp", "my-erp"),
        (folder / "my-erp/source.json", "opshub_demo_erp", "opshub_my_erp"),
    ):
        path.write_text(path.read_text().replace(old, new))
    assert len(load_systems(settings(folder, "demo-crm", "demo-erp", "my-erp"))) == 3
    path = folder / "my-erp/source.json"
    mine, theirs = (json.loads((folder / name / "source.json").read_text()) for name in ("my-erp", "demo-erp"))
    if kept == "name":
        mine["name"] = theirs["name"]
    else:
        mine["config"][kept] = theirs["config"][kept]
    path.write_text(json.dumps(mine))
    with pytest.raises(ConfigError, match=f"my-erp/source.json: {kept} is .*, as in that of demo-erp"):
        load_systems(settings(folder, "demo-crm", "demo-erp", "my-erp"))


def test_a_dictionary_of_another_system_is_refused(folder: Path) -> None:
    shutil.copytree(folder / "demo-erp", folder / "my-erp")
    with pytest.raises(ConfigError, match="says system: demo-erp, and its folder is my-erp"):
        load_systems(settings(folder, "my-erp"))

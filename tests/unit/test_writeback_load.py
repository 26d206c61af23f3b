"""Reading writeback.yaml: errors name file and field, secrets stay as they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.writeback.forms import duration
from streams.writeback.load import load_rules, read_rules
from streams.writeback.rules import WritebackConfig
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


SHOP = """\
system: shop
target:
  adapter: http
  base_url: http://h
  headers: {Authorization: "Bearer ${env:TOKEN}"}
rules:
  order:
    entity: opportunity
    becomes: {stage: won}
    params:
      net: {from: record.amnount, as: money}
    schedul: "0 * * * *"
    http:
      send: {path: /o, headers: {X-Key: "${env:KEY}"}}
"""


def problems_of(folder: Path, text: str) -> list[str]:
    """The problems of a writeback.yaml, as `map check`, `plan` and `run` show them, without the folder."""
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "writeback.yaml").write_text(text, encoding="utf-8")

    def resolve(value: str, file: Path) -> str:
        if "TOKEN" in value:
            raise ConfigError("${env:TOKEN} stands for a variable that is not set", remedy="set it")
        return value

    problems = read_rules(folder, ["shop"], resolve)[1]
    return [str(problem).removeprefix(f"{folder}/shop/") for problem in problems]


def test_every_mistake_has_its_line_and_what_would_be_right(tmp_path: Path) -> None:
    first = problems_of(tmp_path, SHOP)
    assert [line.split(":", 2)[1] for line in first] == ["5", "12", "14"]
    assert "did you mean 'schedule'?" in first[1] and "target.secrets" in first[2]
    second = problems_of(tmp_path, SHOP.replace("schedul:", "schedule:").replace("${env:", "{"))
    assert [line.split(":", 2)[1] for line in second] == ["11", "14"]
    assert "rules.order.params.net: record.amnount: opportunity has no field 'amnount'; did you mean" in second[0]
    assert "nothing proves that it was done" in second[1]


def test_key_that_comes_twice_and_broken_yaml_are_reported(tmp_path: Path) -> None:
    assert (
        "given twice (first in line 8)"
        in problems_of(tmp_path, SHOP.replace("    becomes", "    entity: x\n    becomes"))[1]
    )
    assert problems_of(tmp_path, "system: [")[0].startswith("writeback.yaml:1: yaml: this is not YAML")


def test_step_of_a_statement_has_its_line(tmp_path: Path) -> None:
    text = """\
system: shop
target: {adapter: sql, host: h, dbname: d, user: u}
rules:
  order:
    entity: opportunity
    becomes: {stage: won}
    sql:
      look_up: SELECT 1
      steps:
        - name: one
          sql: SELECT 1
        - name: two
          sql: SELECT %(nothing)s
"""
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith("writeback.yaml:13: rules.order.sql.steps.two.sql: there is no parameter 'nothing'")


def test_message_does_not_show_a_value_that_may_be_a_secret(tmp_path: Path) -> None:
    (problem,) = problems_of(
        tmp_path, "system: shop\ntarget: {adapter: http, base_url: h, basic: hunter2}\nrules: {}\n"
    )
    assert "hunter2" not in problem and ":2: target.basic" in problem

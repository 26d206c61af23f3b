"""Mistakes in source.json are reported before anything is captured: otherwise nothing would arrive, and nothing would show why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from streams.capture.connector_config import check_source_file
from streams.errors import ConfigError
from streams.provision.connector_defaults import table_list
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
        source["config"][key] = value
    path.write_text(json.dumps(source))


def findings(folder: Path, system: str) -> list[tuple[str, str]]:
    (loaded,) = load_systems(settings(folder, system))
    return [(one.code, one.what.split(":")[0]) for one in check_source_file(loaded)]


def test_the_systems_that_come_with_opshub_have_no_findings(folder: Path) -> None:
    assert findings(folder, "demo-crm") == findings(folder, "demo-erp") == []


# Threads: debezium DBZ-5396 (`warn` writes null for what it cannot convert), Kafka KIP-581 (null becomes the DEFAULT).
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("event.converting.failure.handling.mode", None),
        ("event.converting.failure.handling.mode", "warn"),
        ("event.processing.failure.handling.mode", "skip"),
        ("errors.tolerance", "all"),
        ("value.converter.replace.null.with.default", None),
        ("value.converter.schemas.enable", None),
        ("value.converter", "io.confluent.connect.avro.AvroConverter"),
        ("key.converter", None),
        ("decimal.handling.mode", None),
        ("decimal.handling.mode", "double"),
        ("time.precision.mode", "adaptive"),
        ("interval.handling.mode", None),
        ("binary.handling.mode", "hex"),
        ("hstore.handling.mode", "map"),
        ("include.unknown.datatypes", True),
        ("unavailable.value.placeholder", "?"),
        ("schema.refresh.mode", "columns_diff_exclude_unchanged_toast"),
        ("field.name.adjustment.mode", "avro"),
        ("topic.delimiter", "_"),
        ("skipped.operations", None),
        ("skipped.operations", "d"),
        ("skip.messages.without.change", "true"),
        ("exactly.once.support", "required"),
        ("producer.override.acks", "1"),
        ("producer.override.max.in.flight.requests.per.connection", "6"),
        ("heartbeat.interval.ms", None),
        ("heartbeat.interval.ms", "0"),
        ("heartbeat.action.query", "SELECT 1"),
        ("plugin.name", None),
        ("slot.name", "Opshub-CRM"),
        ("slot.name", "s" * 64),
        ("slot.drop.on.stop", "true"),
        ("offset.mismatch.strategy", None),
        ("offset.mismatch.strategy", "trust_slot"),
        ("publication.autocreate.mode", None),
        ("lsn.flush.mode", "manual"),
        ("flush.lsn.source", "false"),
        ("snapshot.mode", "no_data"),
        ("snapshot.mode", "when_needed"),
        ("snapshot.isolation.mode", "read_committed"),
        ("read.only", True),
        ("signal.enabled.channels", "kafka"),
        ("transforms", "route"),
        ("transforms.route.type", "io.debezium.transforms.ByLogicalTableRouter"),
        ("predicates", "p"),
        ("converters", "mine"),
        ("post.processors", "reselector"),
        ("topic.naming.strategy", "io.debezium.schema.DefaultTopicNamingStrategy"),
        ("column.mask.with.3.chars", "erp.cust.vat_no"),
        ("column.mask.hash.v2.SHA-256.with.salt.x", "erp.cust.vat_no"),
        ("column.truncate.to.20.chars", "erp.cust.name1"),
        ("message.key.columns", "erp.cust:name1"),
        ("snapshot.select.statement.overrides", "erp.cust"),
        ("slot.stream.params", "origin=none"),
        ("replica.identity.autoset.values", "erp.cust:FULL"),
        ("publish.via.partition.root", "true"),
        ("producer.override.partitioner.ignore.keys", "true"),
        ("event.converting.failure.handling.mod", "fail"),
        ("heartbeat.interval", "10000"),
    ],
)
def test_an_option_that_hides_trouble_or_changes_values_is_a_finding(
    folder: Path, option: str, value: str | bool | None
) -> None:
    path = folder / "demo-erp" / "source.json"
    source: dict[str, Any] = json.loads(path.read_text())
    source["config"][option] = value  # null takes out our default
    path.write_text(json.dumps(source))
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.side, only.severe) == ("source-setting", "input", True)
    assert only.what.startswith(f"{option} is ")
    assert len(only.what) > len(option) + 20 and only.remedy


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("event.converting.failure.handling.mode", "FAIL"),
        ("snapshot.isolation.mode", "repeatable_read"),
        ("signal.enabled.channels", "source, kafka"),
        ("read.only", False),
        ("tombstones.on.delete", "false"),
        ("database.sslmode", "require"),
        ("producer.override.max.request.size", "16777216"),
        ("lsn.flush.mode", "connector_and_driver"),
        ("column.exclude.list", "erp.cust.not_read"),
    ],
)
def test_an_option_that_changes_no_record_is_free(folder: Path, option: str, value: str | bool) -> None:
    path = folder / "demo-erp" / "source.json"
    source: dict[str, Any] = json.loads(path.read_text())
    source["config"][option] = value
    path.write_text(json.dumps(source))
    assert findings(folder, "demo-erp") == []


def test_columns_that_the_connector_excludes_are_findings(folder: Path) -> None:
    rewrite(folder, "demo-erp", column_exclude_list="erp[.]cust[.](name1|not_read)")
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.where) == ("column-not-captured", "demo-erp: erp.cust") and "name1" in only.what
    rewrite(folder, "demo-erp", column_exclude_list=None, column_include_list="erp[.](?!pay).*")
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.where) == ("column-not-captured", "demo-erp: erp.pay")


def test_a_table_that_the_snapshot_leaves_out_is_a_finding(folder: Path) -> None:
    rewrite(folder, "demo-erp", snapshot_include_collection_list="erp[.](?!pay).*")
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.where) == ("table-not-captured", "demo-erp: erp.pay") and "snapshot" in only.what


def test_tables_that_would_share_a_topic_are_findings(folder: Path) -> None:
    """Debezium writes an underscore for each character that Kafka does not allow: two names of two characters are one."""
    (system,) = load_systems(settings(folder, "demo-erp"))

    def topic_findings(*tables: str) -> list[str]:
        dictionary = SimpleNamespace(
            kind="postgres", tables={table: SimpleNamespace(name=table, columns=()) for table in tables}
        )
        renamed = msgspec.structs.replace(system, dictionary=dictionary)
        renamed.config.pop("table.include.list", None)
        return [one.where for one in check_source_file(renamed) if one.code == "topic-name"]

    assert topic_findings("erp.订单", "erp.客户") == ["demo-erp: erp.订单, erp.客户"]
    assert topic_findings("erp.a b", "erp.a-b", "erp.a_b") == ["demo-erp: erp.a b, erp.a_b"]
    assert topic_findings("erp_a.b", "erp.a_b") == [
        "demo-erp: erp_a.b, erp.a_b"
    ]  # Kafka: "collides with existing topic"
    assert topic_findings("erp.订单", "erp.客户表", "erp.a", "erp.A") == []
    system.config["topic.naming.strategy"] = "io.debezium.schema.SchemaUnicodeTopicNamingStrategy"
    assert topic_findings("erp.订单", "erp.客户", "erp.a b", "erp.a_b") == []
    assert system.topic("erp.订 单_é") == "raw.demo-erp.erp._u8ba2_u0020_u5355_u005f_u00e9"
    del system.config["topic.naming.strategy"]
    assert system.topic("erp.订 单_😀") == "raw.demo-erp.erp._______".replace("_______", "_" * 6)
    assert topic_findings(f"{'s' * 120}.{'t' * 120}") == [f"demo-erp: {'s' * 120}.{'t' * 120}"]


def test_tables_that_the_connector_excludes_are_findings(folder: Path) -> None:
    (system,) = load_systems(settings(folder, "demo-erp"))
    included = system.config["table.include.list"].replace("erp.inv_head,", "").replace("erp.stock", " erp.st.*")
    rewrite(folder, "demo-erp", table_include_list=included.replace("erp.so_line", "ERP.SO_LINE"))
    (only,) = check_source_file(load_systems(settings(folder, "demo-erp"))[0])
    assert (only.code, only.where, only.side) == ("table-not-captured", "demo-erp: erp.inv_head", "input")
    rewrite(folder, "demo-erp", table_include_list=None, table_exclude_list="erp[.](cust|pay)")
    assert [one.where for one in check_source_file(load_systems(settings(folder, "demo-erp"))[0])] == [
        "demo-erp: erp.cust",
        "demo-erp: erp.pay",
    ]
    rewrite(folder, "demo-erp", table_exclude_list=None, schema_include_list="sales")
    assert len(check_source_file(load_systems(settings(folder, "demo-erp"))[0])) == len(system.dictionary.tables)


@pytest.mark.parametrize("kept", ["name", "topic.prefix", "slot.name"])
def test_a_copied_source_with_names_of_the_other_system_is_refused(folder: Path, kept: str) -> None:
    shutil.copytree(folder / "demo-erp", folder / "my-erp")
    path = folder / "my-erp/dictionary.yaml"
    path.write_text(path.read_text().replace("system: demo-erp", "system: my-erp"))
    _, theirs, _ = load_systems(settings(folder, "demo-crm", "demo-erp", "my-erp"))
    path = folder / "my-erp/source.json"
    mine = json.loads(path.read_text())
    if kept == "name":
        mine["name"] = theirs.connector_name
    else:
        mine["config"][kept] = theirs.config[kept]
    path.write_text(json.dumps(mine))
    with pytest.raises(ConfigError, match=f"my-erp/source.json: {kept} is .*, as in that of demo-erp"):
        load_systems(settings(folder, "demo-crm", "demo-erp", "my-erp"))


def test_a_dictionary_of_another_system_is_refused(folder: Path) -> None:
    shutil.copytree(folder / "demo-erp", folder / "my-erp")
    with pytest.raises(ConfigError, match="says system: demo-erp, and its folder is my-erp"):
        load_systems(settings(folder, "my-erp"))


def test_source_json_that_says_an_address_only_gets_every_option(folder: Path) -> None:
    path = folder / "demo-erp" / "source.json"
    assert len(json.loads(path.read_text())["config"]) == 5
    (system,) = load_systems(settings(folder, "demo-erp"))
    assert system.connector_name == "demo-erp" and system.slot_name == "opshub_demo_erp"
    assert system.config["topic.prefix"] == "raw.demo-erp"
    assert system.config["table.include.list"].split(",") == list(system.dictionary.tables)


def test_value_in_source_json_wins_and_null_takes_a_default_out(folder: Path) -> None:
    rewrite(folder, "demo-erp", slot_name="other", heartbeat_interval_ms="5000", snapshot_fetch_size=None)
    (system,) = load_systems(settings(folder, "demo-erp"))
    assert (system.slot_name, system.config["heartbeat.interval.ms"]) == ("other", "5000")
    assert "snapshot.fetch.size" not in system.config


def test_names_of_tables_that_are_no_words_are_escaped_in_the_list() -> None:
    assert table_list(["a.b", "a.x-y", "a.s t", "a.u,v"]) == r"a.b,a\.x\-y,a\.s\ t,a\.u\,v"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("{", "line 1"), ("[]", "no object"), ('{"config": 1}', "no object"), ('{"conf": {}}', "no word 'conf'"), ('{"name": 1}', "no text")],
)  # fmt: skip
def test_wrong_source_json_is_named(folder: Path, text: str, wrong: str) -> None:
    (folder / "demo-erp" / "source.json").write_text(text)
    with pytest.raises(ConfigError, match=wrong):
        load_systems(settings(folder, "demo-erp"))

"""What MariaDB and MySQL have of their own: positions, marks, types, settings of the server, errors."""

from __future__ import annotations

import math
import time
from typing import Any

import psycopg
import pymysql
import pytest
from psycopg import errors

from streams.capture.binlog import BinlogSettings, judge_age
from streams.capture.binlog_options import required_for
from streams.capture.lost_changes import SourceState, lost_changes, lost_position
from streams.capture.mariadb_setup import mariadb_setup_sql, marker_sql
from streams.decode.position import MysqlSource, mysql_position
from streams.dictionary.mariadb_catalog import type_name
from streams.hub.source_state import SourceRecord
from streams.mapping.row_errors import BadValue
from streams.mapping.source_types import reading, source_type
from streams.mariadb_session import MARK, binlog_address, is_binlog_address, translated
from streams.monitor.binlog_preflight import judge_server
from streams.provision.connector_defaults import complete_source

RIGHT = BinlogSettings(
    log_bin="ON", binlog_format="ROW", binlog_row_image="FULL", binlog_row_metadata="FULL", log_bin_compress="OFF",
    binlog_expire_logs_seconds="604800", server_id="1", server_uid="u",
)  # fmt: skip
RIGHTS = {"REPLICATION SLAVE", "BINLOG MONITOR", "RELOAD"}


def changed(**values: str) -> BinlogSettings:
    return BinlogSettings(**{name: getattr(RIGHT, name) for name in RIGHT.__struct_fields__} | values)


def test_rows_of_a_later_file_transaction_or_event_are_newer() -> None:
    places = [
        ("mariadb-bin.000009", 9_000, 4),
        ("mariadb-bin.000010", 4, 0),
        ("mariadb-bin.000010", 4, 1),
        ("x.1000000", 4, 0),
    ]
    positions = [mysql_position(0, MysqlSource(file=file, pos=pos, row=row)) for file, pos, row in places]
    assert positions == sorted(positions) and len(set(positions)) == len(positions)
    assert mysql_position(1, MysqlSource(file="mariadb-bin.000001", pos=4, row=0)) > positions[-1]


def test_what_write_back_writes_is_known_by_its_server_id() -> None:
    assert MysqlSource(server_id=MARK).origin == "opshub"
    assert MysqlSource(server_id=1).origin is None
    assert MysqlSource().origin is None


@pytest.mark.parametrize(
    ("data_type", "declared", "nullable", "name"),
    [
        ("tinyint", "tinyint(1)", True, "tinyint(1)"),
        ("tinyint", "tinyint(4)", True, "tinyint"),
        ("bigint", "bigint(20) unsigned", True, "bigint unsigned"),
        ("int", "int(10) unsigned", True, "integer"),
        ("bit", "bit(1)", True, "bit"),
        ("bit", "bit(8)", True, "bit varying"),
        ("float", "float", True, "float"),
        ("float", "float(8,2)", True, "real"),
        ("date", "date", True, "date"),
        ("timestamp", "timestamp", False, "timestamp not null"),
        ("inet6", "inet6", True, "inet6 of MariaDB"),
    ],
)
def test_names_of_types(data_type: str, declared: str, nullable: bool, name: str) -> None:
    assert type_name(data_type, declared, nullable=nullable) == name


@pytest.mark.parametrize(
    ("type_", "kind", "value", "expected"),
    [
        ("bigint unsigned", "int", -1, 18446744073709551615),
        ("bigint unsigned", "int", 5, 5),
        ("timestamp", "timestamp", "1970-01-01T00:00:00Z", None),
        ("timestamp", "text", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("year", "int", 1900, None),
        ("time", "text", -3_020_399_000_000, "-838:59:59"),
        ("time", "text", 500_000, "00:00:00.5"),
        ("float", "text", 123456.7890625, "123457"),
        ("date not null", "text", 19782, "2024-02-29"),
    ],
)
def test_values_that_are_sent_as_something_else(type_: str, kind: str, value: object, expected: object) -> None:
    read: Any = reading("c", source_type(type_), kind)
    assert read(value) == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [("date not null", 0), ("datetime not null", 0), ("timestamp not null", "1970-01-01T00:00:00Z")],
)
def test_a_zero_date_that_cannot_be_null_is_rejected(type_: str, value: object) -> None:
    read: Any = reading("c", source_type(type_), "text")
    with pytest.raises(BadValue, match="zero date"):
        read(value)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"log_bin": "OFF"}, "binlog-off"),
        ({"binlog_format": "MIXED"}, "binlog-format"),
        ({"binlog_row_image": "MINIMAL"}, "binlog-format"),
        ({"log_bin_compress": "ON"}, "binlog-format"),
        ({"binlog_legacy_event_pos": "OFF"}, "binlog-format"),
        ({"binlog_storage_engine": "innodb"}, "binlog-format"),
        ({"binlog_row_value_options": "PARTIAL_JSON"}, "binlog-format"),
        ({"server_id": "0"}, "binlog-format"),
        ({"binlog_expire_logs_seconds": "86400"}, "binlog-short"),
        ({"binlog_expire_logs_seconds": "0"}, "wal-unbounded"),
    ],
)
def test_settings_of_the_server_give_findings(values: dict[str, str], code: str) -> None:
    assert judge_server("shop", RIGHT, RIGHTS, "opshub_capture") == []
    (finding,) = judge_server("shop", changed(**values), RIGHTS, "opshub_capture")
    assert finding.code == code and finding.remedy


def test_missing_rights_are_named_with_the_statement_that_grants_them() -> None:
    (finding,) = judge_server("shop", RIGHT, {"RELOAD"}, "me")
    assert finding.remedy == "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'me'@'%'"
    assert judge_server("shop", RIGHT, {"ALL PRIVILEGES"}, "me") == []


def test_a_connector_that_falls_behind_the_binlog_is_an_alert_in_time() -> None:
    day, now = 86_400.0, time.time()
    assert judge_age("shop", RIGHT, now - 4 * day) == []
    assert judge_age("shop", RIGHT, None) == []
    (ending,) = judge_age("shop", RIGHT, now - 5.5 * day)
    assert ending.code == "wal-ending" and "in 1.5 days changes will be lost" in ending.what
    assert judge_age("shop", changed(binlog_expire_logs_seconds="0"), now - 99 * day) == []
    assert changed(binlog_expire_logs_seconds="0", expire_logs_days="3").kept_s == 3 * day
    assert math.isinf(changed(binlog_expire_logs_seconds="0").kept_s)


def test_another_server_or_a_binlog_that_went_back_is_lost_capture() -> None:
    before = SourceRecord("u1", 0, (7 << 40) + 500, None)
    assert lost_changes(before, SourceState("u1", 0, (8 << 40) + 4), "the binlog") is None
    assert "went back" in str(lost_changes(before, SourceState("u1", 0, (1 << 40) + 900), "the binlog"))
    assert "another one" in str(lost_changes(before, SourceState("u2", 0, (9 << 40)), "the binlog"))
    assert "is gone" in str(lost_changes(before, SourceState("u1", 0, None), "the binlog"))
    assert lost_position("ServerException: Could not find GTID state requested by slave in any binlog files.")
    assert lost_position("but this is no longer available on the server. Reconfigure the connector")


def test_a_source_json_of_four_lines_is_a_whole_connector() -> None:
    source = complete_source({"config": {"database.hostname": "db"}}, "my-shop", "mariadb", ["shop.t", "stock.s"])
    config = source["config"]
    for option in required_for("mariadb"):
        assert option.accepts(config.get(option.name, option.default or "")), option.name
    assert config["database.include.list"] == "shop,stock"
    assert config["signal.data.collection"] == "shop.opshub_signal"
    assert config["schema.history.internal.kafka.topic"] == "schema-history.my-shop"
    other = complete_source({}, "other", "mariadb", ["shop.t"])["config"]
    assert other["database.server.id"] != config["database.server.id"]
    assert complete_source({}, "m", "mysql", ["a.b"])["config"]["connector.class"].endswith("MySqlConnector")


def test_an_address_keeps_what_a_url_reserves() -> None:
    address = binlog_address("db", "3306", "me", "p@ss/w:rd%", "shop")
    assert is_binlog_address(address) and "p%40ss%2Fw%3Ard%25" in address
    assert not is_binlog_address("postgresql://me@db/shop")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1205, errors.LockNotAvailable), (1213, errors.DeadlockDetected), (1142, errors.InsufficientPrivilege),
     (1146, errors.UndefinedTable), (2013, psycopg.OperationalError)],
)  # fmt: skip
def test_errors_have_the_class_that_postgres_has_for_them(number: int, kind: type[psycopg.Error]) -> None:
    with pytest.raises(kind, match="said so"), translated():
        raise pymysql.OperationalError(number, "said so")


def test_the_statements_of_an_administrator_quote_what_they_name() -> None:
    text = mariadb_setup_sql("o'user", ["shop.the`table"], "shop.opshub_heartbeat", "shop.opshub_signal")
    assert "'o''user'@'%'" in text and "`shop`.`the``table`" in text
    assert f"SET SESSION server_id = {MARK}" in marker_sql("shop", "w")

"""One table with a column of every type of MariaDB: its columns, the values of a row, and what each becomes.

As `type_matrix.py` for Postgres. `text` None: the type is refused, as docs/guides/source-types.md says.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    name: str
    type: str
    literal: str
    text: str | None
    path: str = ""


COLUMNS = [
    Column("ti", "tinyint", "-5", "-5"),
    Column("tu", "tinyint unsigned", "200", "200"),
    Column("yes", "tinyint(1)", "1", "1"),
    Column("yes_too", "boolean", "true", "1"),
    Column("si", "smallint", "-300", "-300"),
    Column("su", "smallint unsigned", "60000", "60000"),
    Column("mi", "mediumint", "-70000", "-70000"),
    Column("mu", "mediumint unsigned", "16000000", "16000000"),
    Column("i", "int", "-42", "-42"),
    Column("iu", "int unsigned", "4000000000", "4000000000"),
    Column("zf", "int(8) unsigned zerofill", "42", "42"),
    Column("bi", "bigint", "-9007199254740993", "-9007199254740993"),
    Column("bu", "bigint unsigned", "18446744073709551615", "18446744073709551615"),
    Column("n", "decimal(12,2)", "12.50", "12.50"),
    Column("nu", "decimal(20,8) unsigned", "1.5", "1.50000000"),
    Column("nl", "decimal(65,30)", "12345678901234567890.5", "12345678901234567890.500000000000000000000000000000"),
    Column("f", "float", "0.1", "0.1"),
    Column("f_long", "float", "123456.789", "123457"),
    Column("fd", "float(8,2)", "1.25", "1.25"),
    Column("d8", "double", "0.1", "0.1"),
    Column("bit_one", "bit(1)", "b'1'", "true"),
    Column("bit_more", "bit(10)", "b'1010101010'", None),
    Column("e", "enum('a','b c','ü''s')", "'ü''s'", "ü's"),
    Column("s", "set('x','y','z')", "'x,z'", "x,z"),
    Column("d", "date", "'2024-02-29'", "2024-02-29"),
    Column("d_not", "date NOT NULL", "'2024-02-29'", "2024-02-29"),
    Column("d_default", "date NOT NULL DEFAULT '2000-01-01'", "'2024-02-29'", "2024-02-29"),
    Column("dt", "datetime", "'2024-05-01 10:00:00'", "2024-05-01T10:00:00"),
    Column("dt6", "datetime(6)", "'2024-05-01 10:00:00.250000'", "2024-05-01T10:00:00.25"),
    Column("ts", "timestamp NULL", "'2024-05-01 10:00:00'", "2024-05-01T10:00:00Z"),
    Column("ts3", "timestamp(3) NULL", "'2024-05-01 10:00:00.250'", "2024-05-01T10:00:00.25Z"),
    Column("t", "time", "'-838:59:59'", "-838:59:59"),
    Column("t6", "time(6)", "'100:00:00.5'", "100:00:00.5"),
    Column("y", "year", "2024", "2024"),
    Column("j", "json", """'{"a": "in json"}'""", "in json", "a"),
    Column("c", "char(5)", "'ab'", "ab"),
    Column("v", "varchar(50)", "'Straße 😀'", "Straße 😀"),
    Column("tx", "text", "repeat('wide text ', 3000)", "wide text " * 3000),
    Column("lt", "longtext", "'long'", "long"),
    Column("latin", "varchar(50) CHARACTER SET latin1", "'Größe €'", "Größe €"),
    Column("gbk", "varchar(50) CHARACTER SET gbk", "'中文'", "中文"),
    Column("ucs", "varchar(20) CHARACTER SET ucs2", "'ab ß'", "ab ß"),
    Column("bin_text", "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'Bin'", "Bin"),
    Column("bl", "blob", "x'deadbeef'", None),
    Column("vb", "varbinary(10)", "x'00ff'", None),
    Column("bn", "binary(4)", "x'0001'", None),
    Column("u", "uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    Column("po", "point", "point(1,2)", None),
]  # fmt: skip

GENERATED = [
    Column("g_stored", "int GENERATED ALWAYS AS (i * 2) STORED", "", "-84"),
    Column("g_virtual", "int GENERATED ALWAYS AS (i * 3) VIRTUAL", "", "-126"),
]
"""The server computes them; the binlog and a snapshot have both."""


class Special(NamedTuple):
    """A value that a type has and a record may not. `text` None: the row is rejected; '': it is null, or empty.
    `in_snapshot`: what a snapshot makes of it, where Debezium reads it otherwise.
    """

    name: str
    literal: str
    text: str | None
    in_snapshot: str | None = None


SPECIAL = [
    Special("d", "'0000-00-00'", ""),
    Special("d", "'2024-00-00'", ""),
    Special("d_not", "'0000-00-00'", None),
    Special("d_not", "'1970-01-01'", None),
    Special("d", "'1970-01-01'", "1970-01-01"),
    Special("d", "'0024-05-01'", "0024-05-01"),
    Special("d", "'9999-12-31'", "9999-12-31"),
    Special("dt", "'0000-00-00 00:00:00'", ""),
    Special("dt", "'9999-12-31 23:59:59'", "9999-12-31T23:59:59"),
    Special("ts", "'0000-00-00 00:00:00'", ""),
    Special("ts", "'1970-01-01 00:00:01'", "1970-01-01T00:00:01Z"),
    Special("y", "0", "", in_snapshot="2000"),
    Special("y", "2155", "2155"),
    Special("t", "'00:00:00'", "00:00:00"),
    Special("e", "''", ""),
    Special("v", "'a\\0b'", None),
    Special("v", "''", ""),
    Special("bi", "-9223372036854775808", "-9223372036854775808"),
    Special("bu", "9223372036854775808", "9223372036854775808"),
    Special("d8", "1e-7", "0.0000001"),
]

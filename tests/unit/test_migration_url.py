"""Whatever form the hub's connection string has, migrations reach the same server."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict
from yoyo.connections import parse_uri

from streams.hub.migrate import _migration_url


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://opshub:a%2Fb%40c@hub:5432/opshub",
        "postgresql://opshub:x@hub:5432,hub-standby:5433/opshub?target_session_attrs=read-write&connect_timeout=5",
        "host=hub,hub-standby port=5432 user=opshub password='a b&c=d' dbname=opshub",
        "postgresql://opshub@/opshub?host=/var/run/postgresql",
    ],
)
def test_migrations_use_every_part_of_the_connection_string(dsn: str) -> None:
    read = parse_uri(_migration_url(dsn))
    assert read.hostname is None and read.port is None, "yoyo would put its own host before those of the arguments"
    assert {**read.args, "dbname": read.database} == {name: str(value) for name, value in conninfo_to_dict(dsn).items()}

"""Profiles of `opshub bench run --profile`: what SQL becomes, and what is said of one that is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.profile import Load, Operation, load_profile, own_systems
from benchmarks.watch import ProbeWatch
from streams.errors import ConfigError
from tests.conftest import stack_settings

PROFILES = Path(__file__).parents[2] / "benchmarks" / "profiles"
GOOD = "systems: [{name: demo-crm, dsn_env: CRM_DSN, operations: [{name: a, sql: SELECT 1}]}]"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_profiles_that_are_here_can_be_read(path: Path) -> None:
    assert load_profile(path).systems


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, GOOD))
    (system,) = profile.systems
    assert (system.sessions, system.operations[0].weight, system.operations[0].rows, profile.watch) == (4, 1.0, 1, {})


def test_parameters_become_places_with_a_type() -> None:
    one = Operation(
        "a",
        [
            "INSERT INTO t VALUES (%(uuid)s, 'x' || %(n)s)",
            "DELETE FROM t WHERE a LIKE '%%' || %(marker)s AND b < %(random)s",
        ],
    )
    assert one.statements() == [
        ("INSERT INTO t VALUES ($1::uuid, 'x' || $2::bigint)", ["uuid", "n"]),
        ("DELETE FROM t WHERE a LIKE '%' || $1::text AND b < $2::float8", ["marker", "random"]),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("dsn_env: CRM_DSN", "dsn_env: 'postgresql://me:hidden@host/db'", r"systems\[0\]\.dsn_env"),
        ("name: a", "name: a, wieght: 2", r"wieght.*systems\[0\]\.operations\[0\]"),
        ("name: a", "name: a, weight: 0", r"systems\[0\]\.operations\[0\]\.weight"),
        ("name: a", "name: a, rows: 0", r"systems\[0\]\.operations\[0\]\.rows"),
        ("{name: a, sql: SELECT 1}", "", r"systems\[0\]\.operations"),
        ("SELECT 1", "[]", r"systems\[0\]\.operations\[0\]\.sql"),
        ("SELECT 1", "'SELECT %(nr)s'", r"systems\[0\]\.operations\[0\]\.sql: there is no parameter %\(nr\)s"),
        ("SELECT 1", "'SELECT %(n)d'", r"there is no parameter %\(n\)d"),
        ("SELECT 1", "'SELECT 7 % 2'", r"there is no parameter %"),
        ("systems", "sistems", r"sistems|systems"),
    ],
)
def test_a_profile_that_is_wrong_names_file_and_field(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*({told})") as raised:
        load_profile(path)
    assert raised.value.remedy and "hidden" not in f"{raised.value} {raised.value.remedy}"


def test_a_profile_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml is missing"):
        load_profile(tmp_path / "none.yaml")


def test_a_system_that_is_not_captured_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("demo-crm", "shop"))
    with pytest.raises(ConfigError, match=r"mine\.yaml: systems\[0\]\.name: shop") as raised:
        own_systems(stack_settings(tmp_path), path)
    assert "demo-crm, demo-erp" in raised.value.remedy


def test_a_dsn_that_is_not_there_or_is_none_is_told_without_its_password(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    profile = load_profile(path)
    with pytest.raises(ConfigError, match=r"mine\.yaml: systems\[0\]\.dsn_env: CRM_DSN is not set"):
        Load(profile, path, {}, seed=1)
    with pytest.raises(ConfigError, match=r"CRM_DSN does not hold a DSN") as raised:
        Load(profile, path, {"CRM_DSN": "me hidden@host"}, seed=1)
    assert "hidden" not in str(raised.value)


def test_markers_of_an_earlier_run_are_not_looked_at() -> None:
    watch = ProbeWatch("127.0.0.1:1", {"canonical.customer": "canonical topic"})
    try:
        now = time.time_ns() // 1000
        for marked in (now - 60_000_000, now, now):
            watch._look("canonical topic", b"\x00probe:%d\x00" % marked)
    finally:
        watch._consumer.close()
    assert watch.places["canonical topic"].get_total_count() == 1
    assert watch.places["canonical topic"].get_max_value() < 10_000_000

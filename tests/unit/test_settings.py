"""Settings: the page in docs is current, and a name that is no setting is refused with the nearest one."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.context import load_settings
from streams.errors import ConfigError
from streams.settings import Settings
from streams.settings.page import settings_page
from streams.settings.variables import refuse_unknown_variables
from streams.stack.workers import worker_environment

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def refuse(environment: dict[str, str], file: Path = Path("nowhere.env"), read_by_connectors: str = "") -> None:
    refuse_unknown_variables(environment, lambda: {read_by_connectors}, file)


def test_page_of_settings_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `make settings`"


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("OPSHUB_STATE_DR", "OPSHUB_STATE_DIR"),
        ("opshub_partition", "OPSHUB_PARTITIONS"),
        ("OPSHUB_ORDER_WITHIN", "OPSHUB_ORDER_WITHIN_SECONDS"),
        ("OPSHUB_KAFKKA_PORT", "OPSHUB_KAFKA_PORT"),
        ("OPSHUB_STUCK_AFTER", "OPSHUB_STUCK_AFTER_DAYS"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_setting(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} \(environment\), did you mean {nearest}\?"):
        refuse({name: "1"})


def test_unknown_line_of_the_file_is_refused_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "opshub.env"
    file.write_text("# comment\nSHOP_PASSWORD=x\nexport OPSHUB_SYSTEM=[]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"OPSHUB_SYSTEM \(.*opshub\.env, line 3\), did you mean OPSHUB_SYSTEMS\?"):
        refuse({}, file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPSHUB_STATE_DIR", "x"),
        ("opshub_state_dir", "x"),
        ("OPSHUB_FAULT", "assemble.hub:kill:3"),
        ("OPSHUB_TEST_CUSTOMERS", "10"),
        ("OPSHUB_REGISTRY_PASSWORD", "x"),
        ("OPSHUB_HUB_SERVICE_HOST", "10.0.0.1"),
        ("OPSHUB_SERVICE_PORT_HTTP", "80"),
        ("OPSHUB_CONSOLE_PORT", "tcp://10.0.0.1:80"),
        ("OPSHUB_CONSOLE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SHOP_PASSWORD", "x"),
    ],
)
def test_settings_hooks_and_names_of_kubernetes_pass(name: str, value: str) -> None:
    refuse({name: value})


def test_name_that_a_connector_reads_passes() -> None:
    refuse({"OPSHUB_SHOP_PASSWORD": "x"}, read_by_connectors="OPSHUB_SHOP_PASSWORD")


def test_commands_refuse_unknown_names_and_take_those_of_the_connectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connectors" / "shop").mkdir(parents=True)
    (tmp_path / "connectors" / "shop" / "source.json").write_text('{"password": "${env:OPSHUB_SHOP_PASSWORD}"}')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opshub.env").write_text("OPSHUB_SHOP_PASSWORD=x\nSHOP_HOST=y\nOPSHUB_PARTITIONS=3\n")
    assert load_settings().partitions == 3
    with (tmp_path / "opshub.env").open("a") as file:
        file.write("OPSHUB_PARTITION=5\n")
    with pytest.raises(ConfigError, match=r"opshub\.env, line 4\), did you mean OPSHUB_PARTITIONS\?"):
        load_settings()


def test_worker_gets_the_mail_password_as_it_is() -> None:
    settings = Settings(_env_file=None, alert_smtp_password="s3cret")  # type: ignore[call-arg, arg-type]
    assert worker_environment(settings)["OPSHUB_ALERT_SMTP_PASSWORD"] == "s3cret"

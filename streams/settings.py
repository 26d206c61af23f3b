"""Every setting, declared once.

A command-line flag goes before the environment (OPSHUB_…), that before ./opshub.env, that before the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Days = Annotated[float, Field(ge=0)] | None


class StageDays(BaseModel):
    """Days for each stage in which somebody is to do something; null is no limit. One that is not named keeps its default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    won: Days = 1
    ordered: Days = 30
    partially_shipped: Days = 14
    shipped: Days = 14
    delivered: Days = 14
    invoiced: Days = 45
    partially_paid: Days = 45


class Settings(BaseSettings):
    """Frozen settings of one process; build one with the flags that were given, pass it on, never change it."""

    model_config = SettingsConfigDict(env_prefix="OPSHUB_", env_file="opshub.env", extra="ignore", frozen=True)

    state_dir: Path = Field(default=Path(".opshub"), description="where the native stack keeps data, logs and pids")
    cache_dir: Path | None = Field(
        default=None, description="where downloaded servers are kept; default: ~/.cache/opshub"
    )
    connectors_dir: Path | None = Field(
        default=None, description="a folder for each system; default: ./connectors, else the packaged"
    )
    systems: list[str] = Field(
        default=["demo-crm", "demo-erp"], description="which folders of connectors_dir are captured"
    )

    host: str = Field(default="127.0.0.1", description="address that the native servers listen on")
    crm_port: int = Field(default=15432, description="Postgres of the demo CRM")
    erp_port: int = Field(default=15433, description="Postgres of the demo ERP")
    hub_port: int = Field(default=15434, description="Postgres of the hub")
    kafka_port: int = 19092
    kafka_controller_port: int = 19093
    connect_port: int = 18083
    registry_port: int = 18081
    console_port: int = 18080
    metrics_port: int = Field(default=19100, description="first of the workers' metrics ports")

    bootstrap_servers: str = Field(default="", description="Kafka; default: the native stack's")
    registry_url: str = Field(
        default="", description="Confluent-compatible schema registry; default: the native stack's"
    )
    connect_url: str = Field(default="", description="Kafka Connect's REST; default: the native stack's")
    hub_dsn: str = Field(default="", description="the hub database; default: the native stack's")

    app_id: str = Field(default="opshub", description="consumer group of the workers, prefix of transactional ids")
    partitions: int = Field(default=4, ge=1, description="partitions of each topic that opshub makes")
    replication_factor: int = Field(default=1, ge=1)
    worker_name: str = Field(
        default="w0", description="unique and stable for each worker; a second of the same name fences the first"
    )
    batch_size: int = Field(default=10_000, ge=1, description="most records that one poll hands over")
    session_timeout_ms: int = Field(
        default=6000, description="silence after which Kafka gives a worker's partitions away"
    )
    cache_entities: int = Field(
        default=15_000, ge=1, description="entities that a worker keeps in memory, some 3 kB each"
    )

    order_within: float = Field(
        default=300.0, description="seconds after which a won opportunity without an order is a conflict"
    )
    invoice_policy: Literal["at_most_shipped", "equal", "off"] = Field(
        default="at_most_shipped",
        description="what is invoiced of an order (net, less credit notes) against what was shipped of it",
    )
    header_charges: int = Field(
        default=10, ge=0, description="percent that an order's header may say beyond its lines: freight, other charges"
    )
    stuck_after: StageDays = Field(
        default=StageDays(), description="days that a flow may be in a stage before it counts as stuck, as JSON"
    )

    quality_every: float = Field(
        default=3600.0, ge=0, description="seconds between two measurings of quality by the workers; 0: none"
    )

    approvers: list[str] = Field(
        default=[],
        description="people who may be named with `approvals approve --by`, each counted as one, whose account ever says it",
    )

    alert_webhook: str = Field(default="", description="URL that is told of problems, as JSON")
    alert_slack: str = Field(default="", description="incoming webhook of Slack or of what takes its payload")
    alert_email: list[str] = Field(default=[], description="addresses that are told of problems")
    alert_smtp: str = Field(
        default="localhost:25",
        pattern=r"^[^:\s]+(:\d{1,5})?$",
        description="host:port of the mail server; port 25 by default",
    )
    alert_smtp_tls: Literal["off", "starttls", "tls"] = Field(
        default="off",
        description="starttls (port 587), or tls from the first byte (465); the server's certificate must be valid",
    )
    alert_smtp_user: str = Field(default="", description="who logs in to the mail server; default: nobody")
    alert_smtp_password: SecretStr = SecretStr("")
    alert_sender: str = "opshub@localhost"
    alert_parked_keys: int = Field(
        default=1, ge=1, description="keys that wait behind a dead letter from which on it is told"
    )
    alert_dead_letters: int = Field(default=10, ge=1, description="dead letters in a minute from which on it is told")
    alert_lag_records: int = Field(default=10_000, ge=1, description="records that a lane is behind, …")
    alert_lag_seconds: float = Field(default=300.0, ge=0, description="… and for how long, from which on it is told")
    alert_stuck_flows: int = Field(default=1, ge=1, description="flows that do not move from which on it is told")
    alert_invariants: int = Field(default=1, ge=1, description="broken rules of the business from which on it is told")
    alert_dead_intents: int = Field(
        default=1, ge=1, description="intents given up within a day from which on it is told"
    )
    alert_waiting_hours: float = Field(default=24.0, gt=0, description="hours that an intent may wait for people")
    alert_undelivered_minutes: float = Field(
        default=30.0, gt=0, description="minutes that an intent may wait for its target"
    )
    alert_heartbeat_seconds: float = Field(
        default=120.0, gt=0, description="age of a connector's heartbeat from which on it is told"
    )
    alert_wal_kept_gb: float = Field(
        default=5.0, gt=0, description="GB of WAL that a slot holds back from which on it is told"
    )
    alert_wal_left: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="part of max_slot_wal_keep_size that is left to a slot below which it is told",
    )
    alert_disk_left_gb: float = Field(
        default=2.0, ge=0, description="GB left on the disk of state_dir below which it is told"
    )

    @property
    def kafka(self) -> str:
        return self.bootstrap_servers or f"{self.host}:{self.kafka_port}"

    @property
    def registry(self) -> str:
        return self.registry_url or f"http://{self.host}:{self.registry_port}/apis/ccompat/v7"

    @property
    def connect(self) -> str:
        return self.connect_url or f"http://{self.host}:{self.connect_port}"

    @property
    def hub(self) -> str:
        return self.hub_dsn or f"postgresql://opshub@{self.host}:{self.hub_port}/opshub"


PORTS = tuple(name for name in Settings.model_fields if name.endswith("_port"))
"""Names of the settings that are ports; `metrics_port` is the first of several, and last."""

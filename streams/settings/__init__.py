"""Every setting, declared once, with its default and its description.

A command-line flag wins over an environment variable (OPSHUB_…), a variable over a line of ./opshub.env, a line over
the default. `docs/settings.md` is made from this model (`make settings`); `variables.py` refuses names that are not
here.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from streams.settings.console import ConsoleSettings
from streams.settings.dsn import with_password

PREFIX = "OPSHUB_"
SETTINGS_FILE = Path("opshub.env")

Days = Annotated[float, Field(ge=0)] | None


class StageDays(BaseModel):
    """Days that an order flow may stay in each stage; null means no limit. A stage that is not named keeps its
    default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    won: Days = 1
    ordered: Days = 30
    partially_shipped: Days = 14
    shipped: Days = 14
    shipped_in_part_or_whole: Days = 14
    delivered: Days = 14
    invoiced: Days = 45
    partially_paid: Days = 45
    overpaid: Days = 30


RuleName = Literal[
    "header",
    "shipped",
    "one_order",
    "invoiced",
    "lost",
    "paid",
    "overpaid",
    "settled",
    "returned",
    "serial",
    "return_order",
]
InvoicePolicy = Literal["at_most_shipped", "equal", "off"]


class SystemRules(BaseModel):
    """Business rules for the records of one system. What is not named is as for all systems."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    off: list[RuleName] | None = None
    order_within_seconds: float | None = None
    invoice_policy: InvoicePolicy | None = None
    header_charge_percent: Annotated[int, Field(ge=0)] | None = None
    refund_within_days: Annotated[float, Field(ge=0)] | None = None


class Settings(ConsoleSettings):
    """Frozen settings of one process. Build one from the flags that were given, pass it on, never change it."""

    # Unknown names are ignored here, because opshub.env may also hold what source.json files read;
    # `streams.settings.variables` refuses misspelt ones with the nearest name.
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=SETTINGS_FILE, extra="ignore", frozen=True)

    state_dir: Path = Field(
        default=Path(".opshub"), description="Folder where the native stack keeps its data, logs and process ids."
    )
    cache_dir: Path | None = Field(
        default=None, description="Folder for downloaded servers, shared by all checkouts. Default: `~/.cache/opshub`."
    )
    connectors_dir: Path | None = Field(
        default=None,
        description="Folder that holds one folder for each system. Default: `./connectors`; without it, the demo "
        "systems that come with opshub.",
    )
    systems: list[str] = Field(
        default=["demo-crm", "demo-erp"],
        description="Systems that are captured, by the names of their folders in `connectors_dir`. A JSON list.",
    )

    host: str = Field(default="127.0.0.1", description="Address on which the native servers and the workers listen.")
    demo_crm_port: int = Field(default=15432, description="Port of the demo CRM's Postgres.")
    demo_erp_port: int = Field(default=15433, description="Port of the demo ERP's Postgres.")
    demo_mariadb_port: int = Field(default=15435, description="Port of the MariaDB server, where a system asks for it.")
    demo_tryton_port: int = Field(
        default=15436, description="Port of Tryton, for `opshub demo --systems creme,tryton`."
    )
    demo_creme_port: int = Field(default=15437, description="Port of Creme, for `opshub demo --systems creme,tryton`.")
    hub_port: int = Field(default=15434, description="Port of the hub's Postgres.")
    kafka_port: int = Field(default=19092, description="Port of the Kafka broker.")
    kafka_controller_port: int = Field(default=19093, description="Port of the Kafka controller (KRaft).")
    connect_port: int = Field(default=18083, description="Port of Kafka Connect's REST interface.")
    registry_port: int = Field(default=18081, description="Port of the schema registry.")
    metrics_host: str = Field(
        default="",
        description="Address on which a worker's health and metrics pages listen; `0.0.0.0` in a container that "
        "others scrape. Default: `OPSHUB_HOST`.",
    )
    metrics_port: int = Field(
        default=19100,
        description="Port of a worker's health and metrics pages. The first worker has this port, the next one the "
        "port after it. 0 takes a free port.",
    )
    webhook_host: str = Field(
        default="",
        description="Address on which the worker with the role `sources` receives webhooks. Default: `OPSHUB_HOST`.",
    )
    webhook_port: int = Field(
        default=18090, description="Port on which webhooks are received, where a system has a `receiver`."
    )

    bootstrap_servers: str = Field(
        default="", description="Kafka brokers as `host:port,…`. Default: the native stack's broker."
    )
    registry_url: str = Field(
        default="", description="URL of a Confluent-compatible schema registry. Default: the native stack's registry."
    )
    connect_url: str = Field(
        default="", description="URL of Kafka Connect's REST interface. Default: the native stack's Connect."
    )
    hub_dsn: str = Field(
        default="", description="Connection string of the hub database. Default: the native stack's hub."
    )
    hub_password: SecretStr = Field(
        default=SecretStr(""), description="Password for the hub, for an `OPSHUB_HUB_DSN` without one."
    )
    secrets_dir: Path | None = Field(
        default=None,
        description="Folder with a file for each secret, named as its variable. Default: `/run/secrets` where it "
        "exists.",
    )
    connect_secrets: str = Field(
        default="",
        pattern=r"^((directory|file):/[^:]+)?$",
        description="Where Kafka Connect finds passwords by itself: `directory:/run/secrets` (a file for each) or "
        "`file:/run/secrets/connect.properties` (a line `NAME=value` for each). Empty: in its environment.",
    )
    apply_wait_seconds: float = Field(
        default=0.0, ge=0, description="Seconds that `opshub apply` waits for servers that are being started."
    )

    app_id: str = Field(
        default="opshub", description="Consumer group of the workers and prefix of their transactional ids."
    )
    partitions: int = Field(default=4, ge=1, description="Partitions of each topic that opshub creates.")
    replication_factor: int | None = Field(
        default=None,
        ge=1,
        description="Replicas of each topic that opshub creates. Default: the brokers' `default.replication.factor`.",
    )
    min_insync_replicas: int | None = Field(
        default=None,
        ge=1,
        description="Replicas that must have a record before it counts as written, for each topic that opshub "
        "creates; one less than the replicas survives a broker. Default: the brokers' `min.insync.replicas`.",
    )
    worker_name: str = Field(
        default="",
        description="Name of this worker, unique and stable; a second one with the same name is refused. Default: the "
        "name of the host, which is that of the container or pod.",
    )
    traces_url: str = Field(
        default="",
        description="Where traces go: the OTLP address of a collector, as http://collector:4318/v1/traces. Empty: no "
        "traces. Needs the extra `traces`.",
    )
    traces_share: float = Field(default=0.01, ge=0, le=1, description="Share of the changes that are traced.")
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How workers and the console log: `text` for people, or `json` with a record's coordinates as "
        "fields.",
    )
    batch_size: int = Field(default=10_000, ge=1, description="Most records that one poll returns.")
    session_timeout_ms: int = Field(
        default=6000,
        description="Milliseconds without a heartbeat after which Kafka gives a worker's partitions to another one.",
    )
    cache_entities: int = Field(
        default=15_000, ge=1, description="Entities that a worker keeps in memory; each needs about 3 kB."
    )

    order_within_seconds: float = Field(
        default=300.0, description="Seconds after which a won opportunity without an order is reported as a conflict."
    )
    invoice_policy: InvoicePolicy = Field(
        default="at_most_shipped",
        description="How the invoiced net amount of an order, less its credit notes, must compare with the shipped "
        "amount.",
    )
    header_charge_percent: int = Field(
        default=10,
        ge=0,
        description="Percent by which an order's total may exceed the sum of its lines, for freight and other charges.",
    )
    refund_within_days: float = Field(
        default=14.0,
        ge=0,
        description="Days that a refund may take after a credit note or a cancelled order, before it is reported as a "
        "conflict. What a customer paid too much otherwise is reported at once.",
    )
    rules_off: list[RuleName] = Field(
        default=[],
        description="Business rules that are not checked, as a JSON list: `header`, `shipped`, `one_order`, "
        "`invoiced`, `lost`, `paid`, `overpaid`, `settled`, `returned`, `serial`, `return_order` "
        "(docs/guides/order-to-cash.md).",
    )
    rules_of_systems: dict[str, SystemRules] = Field(
        default={},
        description='Business rules for the records of single systems, as JSON: `{"demo-erp": {"off": '
        '["header"], "invoice_policy": "equal"}}`, with `order_within_seconds`, `header_charge_percent` and '
        "`refund_within_days` too. What is not named is as for all systems.",
    )
    stuck_after_days: StageDays = Field(
        default=StageDays(),
        description='Days in a stage after which an order flow counts as stuck, as JSON: `{"won": 2, "shipped": null}`.'
        " null means no limit; stages that are not named keep their default.",
    )

    quality_interval_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds between two measurements of data quality by the workers. 0 turns them off.",
    )

    figures_interval_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Seconds between two computations of the business figures by a worker; longer where one takes "
        "long. 0 turns them off.",
    )

    approvers: list[str] = Field(
        default=[],
        description="People who may be named with `approvals approve --by`. Each of them counts as one person, "
        "whichever account runs the command. A JSON list.",
    )

    alert_webhook_url: str = Field(default="", description="URL that receives each alert as JSON.")
    alert_slack_url: str = Field(
        default="", description="Incoming webhook of Slack, or of a service that accepts Slack's payload."
    )
    alert_email_to: list[str] = Field(default=[], description="Mail addresses that receive alerts. A JSON list.")
    alert_email_from: str = Field(default="opshub@localhost", description="Sender of the alert mails.")
    alert_smtp_server: str = Field(
        default="localhost:25",
        pattern=r"^[^:\s]+(:\d{1,5})?$",
        description="Mail server as `host:port`; without a port, port 25.",
    )
    alert_smtp_tls: Literal["off", "starttls", "tls"] = Field(
        default="off",
        description="`starttls` (usually port 587), or `tls` from the first byte (usually port 465). The server's "
        "certificate must be valid.",
    )
    alert_smtp_user: str = Field(default="", description="User name for the mail server. Empty: no login.")
    alert_smtp_password: SecretStr = Field(default=SecretStr(""), description="Password for the mail server.")
    alert_parked_keys: int = Field(
        default=1, ge=1, description="Alert when at least this many keys are parked behind a dead letter."
    )
    alert_dead_letters: int = Field(
        default=10, ge=1, description="Alert when at least this many dead letters come within one minute."
    )
    alert_lag_records: int = Field(
        default=10_000, ge=1, description="Alert when a lane is at least this many records behind …"
    )
    alert_lag_seconds: float = Field(default=300.0, ge=0, description="… for at least this many seconds.")
    alert_stuck_flows: int = Field(default=1, ge=1, description="Alert when at least this many order flows are stuck.")
    alert_broken_invariants: int = Field(
        default=1, ge=1, description="Alert when at least this many business rules are broken."
    )
    alert_dead_intents: int = Field(
        default=1, ge=1, description="Alert when at least this many intents were given up within one day."
    )
    alert_approval_hours: float = Field(
        default=24.0, gt=0, description="Alert when an intent waits for approval for this many hours."
    )
    alert_undelivered_minutes: float = Field(
        default=30.0, gt=0, description="Alert when an intent waits for its target system for this many minutes."
    )
    alert_heartbeat_seconds: float = Field(
        default=120.0, gt=0, description="Alert when a connector's last heartbeat is this many seconds old."
    )
    alert_wal_kept_gb: float = Field(
        default=5.0, gt=0, description="Alert when a replication slot holds back this many GB of WAL."
    )
    alert_wal_left_fraction: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Alert when less than this fraction of `max_slot_wal_keep_size` is left to a replication slot.",
    )
    alert_disk_left_gb: float = Field(
        default=2.0, ge=0, description="Alert when the disk of `state_dir` has less than this many GB left."
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
        dsn = self.hub_dsn or f"postgresql://opshub@{self.host}:{self.hub_port}/opshub"
        return with_password(dsn, self.hub_password.get_secret_value())

    @property
    def worker(self) -> str:
        """The worker's name."""
        return self.worker_name or socket.gethostname()

    @property
    def metrics_address(self) -> str:
        """Address on which a worker's pages listen."""
        return self.metrics_host or self.host


SECRETS = (
    "hub_dsn",
    "hub_password",
    "oidc_client_secret",
    "alert_webhook_url",
    "alert_slack_url",
    "alert_smtp_password",
)
"""Settings that may come from files (`secret_files.py`): passwords, and addresses that hold one."""

PORTS = tuple(sorted((name for name in Settings.model_fields if name.endswith("_port")), key="metrics_port".__eq__))
"""Names of the settings that are ports; `metrics_port` is the first of several, and last."""

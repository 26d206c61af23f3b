"""A profile: what `opshub bench run WORKLOAD --profile PROFILE.yaml` writes to your own systems, in place of the demo
company.

In: a YAML file. Out: a `Profile`, and `OwnSystems` that a workload can be run on. Raises ConfigError that names the
file, the field, and what would be right. Of the workload, the name, the seed and the phases count.

    systems:
      - name: shop                   # one of OPSHUB_SYSTEMS
        dsn_env: SHOP_DSN            # the environment variable that holds a DSN of Postgres with the rights to write; never the DSN itself
        sessions: 4                  # connections (4 unless said); several transactions are on their way over each
        operations:
          - name: new customer
            weight: 1                # how often, beside the weights of all operations of all systems (1 unless said)
            rows: 1                  # changes of rows in captured tables, by triggers too, that it makes (1 unless said)
            sql: INSERT INTO customer (id, name, notes) VALUES (%(uuid)s, 'Firm ' || %(n)s, %(marker)s)
          - name: new order
            weight: 3
            rows: 2
            sql:                     # several statements are one transaction
              - INSERT INTO orders (id, customer_id, notes) VALUES (%(uuid)s,
                (SELECT id FROM customer WHERE id >= %(uuid)s ORDER BY id LIMIT 1), %(marker)s)
              - INSERT INTO order_line (order_id, pos, amount) VALUES (%(uuid)s, 1, round(%(random)s * 1000))
    watch:                           # may be left out: topics in which markers are looked for, and what each is called in the result
      raw.shop.public.orders: raw topic
      canonical.sales_order: canonical topic

A parameter has one value in all statements of a transaction, and stands outside of quotes; a percent sign is written
twice.

    %(n)s       bigint   1, 2, 3 … over the run
    %(uuid)s    uuid     random; also finds some row by its key, as above
    %(random)s  float8   0 up to 1, by the seed: WHERE id >= (%(random)s * (SELECT max(id) FROM item))::bigint ORDER BY id LIMIT 1
    %(marker)s  text     probe:<microseconds since 1970 when it was meant to be sent>: different each time, also from run to run. By it what
                         was written can be found afterwards, and from the time in it counts how long it took to the topics of `watch`.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self

import msgspec
import psutil
import psycopg
import yaml

from streams.demo.drain import count_partitions, raw_records
from streams.demo.watch import worker_totals
from streams.errors import ConfigError, EnvironmentFault
from streams.kafka.offsets import topic_offsets
from streams.provision.systems import System, load_systems
from streams.provision.topics import missing_topics
from streams.settings import Settings
from streams.simulator.session import Session, pump
from streams.stack.environment import load_env
from streams.stack.worker_stats import worker_stats

PARAMETERS = {"n": "bigint", "uuid": "uuid", "random": "float8", "marker": "text"}
"""What SQL may ask for, and its type in Postgres."""
TICK = 0.002
"""Seconds between two looks at the clock: what is due in between is sent together."""
MOST_OUTSTANDING = 100
"""Transactions on their way over one session before answers are waited for."""
ANSWERED_WITHIN = 60.0
ASSIGNED_WITHIN = 30.0
NOTHING_MORE = 3.0
"""Seconds without a new raw record after which no more of them are waited for."""

_PERCENT = re.compile(r"%(?:\((\w*)\)s|(%))?")


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One transaction that is written again and again; `rows` is how many row changes it makes."""

    name: str
    sql: str | Annotated[list[str], msgspec.Meta(min_length=1)]
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    rows: Annotated[int, msgspec.Meta(ge=1)] = 1

    def statements(self) -> list[tuple[str, list[str]]]:
        """(SQL as Postgres prepares it, the parameter for each of its places). Raises ValueError that says what is
        wrong.
        """
        return [_prepared(sql) for sql in ([self.sql] if isinstance(self.sql, str) else self.sql)]


class WrittenTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    dsn_env: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    operations: Annotated[list[Operation], msgspec.Meta(min_length=1)]
    sessions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    systems: Annotated[list[WrittenTo], msgspec.Meta(min_length=1)]
    watch: dict[str, str] = {}


def load_profile(path: Path) -> Profile:
    see = "see the head of benchmarks/profile.py, and benchmarks/profiles/demo.yaml"
    try:
        profile = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Profile)
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", remedy=see) from None
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        remedy = f"name the variable that holds the DSN, not the DSN; {see}" if "dsn_env" in str(error) else see
        raise ConfigError(f"{path}: {error}", remedy=remedy) from error
    for at, system in enumerate(profile.systems):
        for number, operation in enumerate(system.operations):
            try:
                operation.statements()
            except ValueError as error:
                raise ConfigError(
                    f"{path}: systems[{at}].operations[{number}].sql: {error}",
                    remedy=f"write {', '.join(f'%({name})s' for name in PARAMETERS)}, and %% for a percent sign",
                ) from None
    return profile


def _prepared(sql: str) -> tuple[str, list[str]]:
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name, percent = found.groups()
        if percent:
            return "%"
        if name not in PARAMETERS:
            raise ValueError(f"there is no parameter {sql[found.start() :].split(maxsplit=1)[0]}")
        names.append(name)
        return f"${len(names)}::{PARAMETERS[name]}"

    return _PERCENT.sub(place, sql), names


@dataclass(frozen=True)
class _Ready:
    """An operation whose statements are prepared in `sessions`."""

    name: str
    rows: int
    statements: list[tuple[str, list[str]]]
    """(name of the prepared statement, its parameters)."""
    sessions: list[Session]


class Load:
    """Writes what a profile says, open loop: when something is to be sent is fixed beforehand. A context manager, for
    one thread.
    """

    def __init__(self, profile: Profile, path: Path, env: Mapping[str, str], seed: int) -> None:
        """Connect, and prepare all SQL. Raises ConfigError for a variable that is not set or SQL that Postgres refuses,
        EnvironmentFault when a database cannot be reached; `path` is the profile's, for these.
        """
        self._rng = Random(seed)
        self._ready: list[_Ready] = []
        self._planned = self._rows = self._transactions = self._failed = self._number = self._marked = 0
        self._errors: deque[str] = deque(maxlen=10)
        self._worst = 0.0
        with ExitStack() as opened:
            for at, system in enumerate(profile.systems):
                self._ready += _connect(system, f"{path}: systems[{at}]", env, self._answered, opened)
            self._opened = opened.pop_all()
        self._sessions = list({id(one): one for ready in self._ready for one in ready.sessions}.values())
        self._weights = list(accumulate(one.weight for system in profile.systems for one in system.operations))

    def run(self, rate: float, seconds: float) -> dict[str, Any]:
        """Write `rate` row changes a second for `seconds`, then wait for all answers; what `stats` says.

        Raises EnvironmentFault when a database goes away, ConfigError when nothing that was sent could be committed.
        """
        try:
            self._run(rate, seconds)
            deadline = time.monotonic() + ANSWERED_WITHIN
            while any(session.outstanding for session in self._sessions):
                pump(self._sessions, 0.1)
                if time.monotonic() > deadline:
                    raise EnvironmentFault(f"a database has not answered for {ANSWERED_WITHIN:.0f} s")
        except EnvironmentFault as error:
            raise EnvironmentFault(str(error), remedy="look at that database (locks: pg_stat_activity)") from error
        if self._failed and not self._transactions:
            raise ConfigError(
                f"none of {self._failed} transactions could be committed; the last: {self._errors[-1]}",
                remedy="mend the operations of the profile",
            )
        return self.stats()

    def stats(self) -> dict[str, Any]:
        """So far: `row_changes` committed (as the profile counts them), `transactions`, `failed` and the last ten
        `errors`, and by how much sending was behind its schedule at most (`behind_ms_max`).
        """
        return {"row_changes": self._rows, "transactions": self._transactions, "failed": self._failed, "errors": list(self._errors),
                "behind_ms_max": round(self._worst, 1)}  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _run(self, rate: float, seconds: float) -> None:
        start, wall, first = time.monotonic(), time.time_ns() // 1000, self._planned
        while (now := time.monotonic() - start) < seconds:
            while self._planned - first < now * rate and not self._full():
                self._send(wall + int((self._planned - first) / rate * 1e6))
            # By a fresh look at the clock: sending takes time, too.
            late = time.monotonic() - start - (self._planned - first) / rate
            self._worst = max(self._worst, late * 1000)
            for session in self._sessions:
                session.flush()
            if self._full():
                pump(self._sessions, TICK)
            else:
                time.sleep(max(0.0, TICK - (time.monotonic() - start - now)))
            for session in self._sessions:
                if session.outstanding:
                    session.receive()

    def _full(self) -> bool:
        return any(session.outstanding >= MOST_OUTSTANDING for session in self._sessions)

    def _send(self, intended_us: int) -> None:
        (ready,) = self._rng.choices(self._ready, cum_weights=self._weights)
        self._number += 1
        self._marked = max(self._marked + 1, intended_us)
        values = {
            "n": self._number,
            "uuid": uuid.uuid4(),
            "random": self._rng.random(),
            "marker": f"probe:{self._marked}",
        }
        self._planned += ready.rows
        session = min(ready.sessions, key=lambda one: one.outstanding)
        session.send([(name, [values[one] for one in asked]) for name, asked in ready.statements], ready)

    def _answered(self, ready: _Ready, _: list[bytes | None], failure: str) -> None:
        if failure:
            self._failed += 1
            self._errors.append(f"{ready.name}: {failure}")
        else:
            self._rows += ready.rows
            self._transactions += 1


def _connect(system: WrittenTo, where: str, env: Mapping[str, str], answered: Any, opened: ExitStack) -> list[_Ready]:
    """The sessions of one system, closed by `opened`; `where` it stands in the profile."""
    if system.dsn_env not in env:
        raise ConfigError(
            f"{where}.dsn_env: {system.dsn_env} is not set",
            remedy=f"export {system.dsn_env}=postgresql://user:password@host:port/database",
        )
    texts: dict[str, str] = {}
    wanted: list[list[tuple[str, list[str]]]] = []
    for number, operation in enumerate(system.operations):
        named = [(f"operations[{number}].sql[{at}]", *one) for at, one in enumerate(operation.statements())]
        texts |= {name: text for name, text, _ in named}
        wanted.append([(name, asked) for name, _, asked in named])
    sessions = []
    try:
        for _ in range(system.sessions):
            session = Session(env[system.dsn_env], texts, answered, timezone="UTC", application_name="opshub-bench")
            sessions.append(opened.enter_context(closing(session)))
    except psycopg.ProgrammingError:
        # What libpq says of it may hold the password.
        raise ConfigError(
            f"{where}.dsn_env: {system.dsn_env} does not hold a DSN",
            remedy="postgresql://user:password@host:port/database",
        ) from None
    except EnvironmentFault as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise EnvironmentFault(
                f"{where}: {error}", remedy=f"look at {system.dsn_env}, and at the database"
            ) from error
        raise ConfigError(f"{where}: {error}", remedy="mend the SQL, or the rights of that user") from error
    return [
        _Ready(operation.name, operation.rows, asked, sessions)
        for operation, asked in zip(system.operations, wanted, strict=True)
    ]


@dataclass
class OwnSystems:
    """Your systems and the workers that read them: nothing of it is started, stopped, made or dropped."""

    settings: Settings
    systems: list[System]
    profile: Profile
    path: Path
    notes: list[str] = field(default_factory=list)
    """What a reader of the result has to know of it."""
    servers: dict[str, str] = field(default_factory=dict)
    _load: Load | None = None
    _before: int = 0
    _partitions: int = 0

    @property
    def probed(self) -> dict[str, str]:
        return self.profile.watch

    def start_workers(self, count: int = 1) -> list[int]:
        """The pids of the workers that answer; none is started, however many are asked for. Raises EnvironmentFault
        when there are none.
        """
        wanted = count_partitions(self.settings, self.systems)
        end = time.monotonic() + ASSIGNED_WITHIN
        while (now := worker_totals(self.settings)).workers and now.partitions < wanted and time.monotonic() < end:
            time.sleep(0.5)
        if not now.partitions:
            raise EnvironmentFault(
                f"no worker that reads answers, of those that {self.settings.state_dir / 'run'} knows",
                remedy="start them on this machine with the same OPSHUB_STATE_DIR (`opshub run`): with --profile none is started",
            )
        self._partitions = min(now.partitions, wanted)
        if now.partitions < wanted:
            self.notes.append(
                f"the workers of {self.settings.state_dir} read {now.partitions} of {wanted} partitions: "
                "lag, latency and CPU are theirs alone"
            )
        return list(self.processes().values())

    def bytes_written(self) -> dict[str, int]:
        return {}

    def processes(self) -> dict[str, int]:
        """name → pid of the workers on this machine."""
        return {w["name"]: w["pid"] for w in worker_stats(self.settings) if psutil.pid_exists(w["pid"])}

    def company(self, seed: int = 1, **_: Any) -> Load:
        """What writes. Options of the demo company say nothing here."""
        self._before = raw_records(self.settings, self.systems)
        self._load = Load(self.profile, self.path, load_env(self.settings), seed)
        return self._load

    def drain(self, seconds: float = 300) -> None:
        """Wait until the workers have nothing to read for a moment, and capture has brought as many rows as were
        written, or brings nothing more. After `seconds` it is left at that; `notes` say so.

        Others may go on writing to these systems: their rows count as well.
        """
        awaited = self._before + (self._load.stats()["row_changes"] if self._load is not None else 0)
        begun = moved = time.monotonic()
        quiet = seen = 0
        while time.monotonic() < begun + seconds:
            captured, now = raw_records(self.settings, self.systems), worker_totals(self.settings)
            if captured != seen:
                seen, moved = captured, time.monotonic()
            enough = captured >= awaited or time.monotonic() - moved > NOTHING_MORE
            quiet = quiet + 1 if enough and now.lag == 0 and now.partitions >= self._partitions else 0
            if quiet >= 3:
                break
            time.sleep(0.25)
        else:
            self.notes.append(
                f"after {seconds:.0f} s the workers still had {now.lag} records to read (and read {now.partitions} partitions)"
            )
        if seen < awaited:
            self.notes.append(
                f"{awaited - self._before:,} row changes were written as the profile counts them, "
                f"and {seen - self._before:,} were captured"
            )


def own_systems(settings: Settings, path: Path) -> OwnSystems:
    """What the profile `path` and these settings say together. Raises EnvironmentFault when Kafka does not answer or
    lacks topics.
    """
    profile, systems = load_profile(path), load_systems(settings)
    known = ", ".join(system.name for system in systems)
    for at, system in enumerate(profile.systems):
        if system.name not in {one.name for one in systems}:
            raise ConfigError(
                f"{path}: systems[{at}].name: {system.name} is none of the captured systems",
                remedy=f"OPSHUB_SYSTEMS has {known}",
            )
    if missing := missing_topics(settings, systems):
        raise EnvironmentFault(
            f"Kafka at {settings.kafka} lacks {len(missing)} topics: {min(missing)}, for one",
            remedy="`opshub apply`; if these are not your servers, set OPSHUB_BOOTSTRAP_SERVERS",
        )
    there = {topic for topic, _ in topic_offsets(settings.kafka, list(profile.watch))}
    for topic in profile.watch:
        if topic not in there:
            raise ConfigError(
                f"{path}: watch: there is no topic {topic}",
                remedy="raw.<system>.<schema>.<table>, or canonical.<entity>",
            )
    return OwnSystems(settings, systems, profile, path)

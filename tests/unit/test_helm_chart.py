"""The chart without helm: versions, values.schema.json, and the golden files, which `make helm-golden` renders with helm.

What the golden files say is checked against the schemas of Kubernetes and of the operators, against opshub's own settings, and
against the rules that every pod must keep. `tests/helm` renders them again where there is a helm.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from streams.cli.context import load_settings
from streams.console.access import access_of
from streams.settings import Settings
from streams.settings.variables import refuse_unknown_variables, setting_variables
from streams.stack.environment import load_env
from tests.helm.inputs import NUMBER, inputs_number
from tests.helm.render import CHART, EXAMPLES, ROOT, Document, golden
from tests.helm.schemas import VERSIONS, kind_of, problems
from tests.helm.values_schema import OF_THE_CHART, values_schema
from tests.helm.write import schema_text

NAMES = [path.stem for path in EXAMPLES]
SECRET_WORDS = re.compile(r"password|secret|token|dsn|slack", re.IGNORECASE)


def values_of(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def changed(**values: Any) -> dict[str, Any]:
    """The values of examples/minimal.yaml with others: `workers__all__replicas=2` goes down the path."""
    made = copy.deepcopy(values_of(ROOT / "docker/helm/examples/minimal.yaml"))
    for path, value in values.items():
        *folders, name = path.split("__")
        place = made
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return made


@cache
def values_validator() -> Any:
    return jsonschema_rs.validator_for(values_schema())


def refusals(values: dict[str, Any]) -> list[str]:
    return [error.message for error in values_validator().iter_errors(values)]


def pods(documents: list[Document]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind/name, pod spec) of everything that starts pods of ours."""
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["spec"]
        elif document["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield name, document["spec"]["template"]["spec"]


def named(documents: list[Document], kind: str, name: str) -> Document:
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)


def environment(documents: list[Document], container: dict[str, Any]) -> dict[str, str]:
    """The variables that a container starts with; its worker's name is that of a pod."""
    made: dict[str, str] = {}
    for source in container["envFrom"]:
        made |= named(documents, "ConfigMap", source["configMapRef"]["name"])["data"]
    return made | {entry["name"]: entry.get("value", "opshub-worker-0") for entry in container["env"]}


def test_chart_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = values_of(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_schema_of_the_values_is_current() -> None:
    assert (CHART / "values.schema.json").read_text(encoding="utf-8") == schema_text(), "run `make settings`"


def test_golden_files_are_of_this_chart() -> None:
    assert NUMBER.read_text().strip() == inputs_number(), "the chart changed: `make helm-setup helm-golden`"


@pytest.mark.parametrize("path", [*EXAMPLES, CHART / "values.yaml"], ids=lambda path: path.stem)
def test_schema_takes_the_examples_and_the_defaults(path: Path) -> None:
    assert refusals(values_of(path)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"worker": {"all": {"replicas": 3}}},
        {"workers__al": {"replicas": 3}},
        {"workers__all__replica": 3},
        {"workers__all__replicas": "three"},
        {"workers__all__autoscaling__by": "lag"},
        {"workers__all__resources": {"request": {"cpu": 1}}},
        {"workers__all__resources": {"requests": {"memory": "1 GB"}}},
        {"settings__partition": 4},
        {"settings__partitions": 0},
        {"settings__invoice_policy": "never"},
        {"settings__hub_dsn": "postgresql://opshub:secret@hub/opshub"},
        {"settings__alert_smtp_password": "secret"},
        {"settings__alert_webhook_url": "https://alerts.example.com/secret"},
        {"settings__worker_name": "w7"},
        {"settings__kafka_port": 9092},
        {"secrets": {"values": {"OPSHUB_HUB_DNS": "postgresql://hub/opshub"}}},
        {"secrets": {"values": {"not a name": "x"}}},
        {"kafka__bootstrapServers": "kafka"},
        {"console__url": "ops.example.com"},
        {"console__proxy": "ingress-nginx"},
        {"image__digest": "sha256:abc"},
        {"apply__as": "initContainer"},
        {"strimzi__brokers__storage__size": "100"},
        {"connectors__files": {"crm/deep/dictionary.yaml": "x"}},
    ],
    ids=lambda values: "-".join(f"{path}={value}"[:40] for path, value in values.items()),
)
def test_schema_refuses_what_is_misspelt(values: dict[str, Any]) -> None:
    assert refusals(changed()) == []
    assert refusals(changed(**values)) != []


def test_chart_knows_every_setting() -> None:
    assert OF_THE_CHART <= Settings.model_fields.keys()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_documents_are_valid(name: str, version: str) -> None:
    found = {
        f"{kind_of(document)} {document['metadata']['name']}": wrong
        for document in golden(name)
        if (wrong := problems(document, version))
    }
    assert found == {}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_documents_have_one_name(name: str) -> None:
    names = [(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in golden(name)]
    assert sorted(names) == sorted(set(names))
    assert {d["metadata"].get("namespace") for d in golden(name)} == {"opshub"}


@pytest.mark.parametrize("name", NAMES)
def test_pods_have_no_rights(name: str) -> None:
    seen = 0
    for where, pod in pods(golden(name)):
        assert pod["automountServiceAccountToken"] is False, where
        # A service named <release>-console would set OPSHUB_CONSOLE_PORT=tcp://…
        assert pod["enableServiceLinks"] is False, where
        safety = pod["securityContext"]
        assert safety["runAsNonRoot"] is True and safety["runAsUser"] > 0, where
        assert safety["seccompProfile"] == {"type": "RuntimeDefault"}, where
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, where
            assert "memory" in container["resources"]["limits"], where
            seen += 1
    assert seen >= 4


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_on_is_probed(name: str) -> None:
    for document in golden(name):
        if document["kind"] in ("StatefulSet", "Deployment"):
            for container in document["spec"]["template"]["spec"]["containers"]:
                ports = {port["name"] for port in container["ports"]}
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    asked = container[probe].get("httpGet") or container[probe]["tcpSocket"]
                    assert asked["port"] in ports
                # A worker that waits for a server must not be killed before it may say so.
                start = container["startupProbe"]
                assert start["periodSeconds"] * start["failureThreshold"] >= 120


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_only_in_secrets(name: str) -> None:
    given = values_of(ROOT / f"docker/helm/examples/{name}.yaml").get("secrets", {}).get("values", {})
    for document in golden(name):
        if document["kind"] == "Secret":
            assert document["stringData"] == given
            continue
        text = yaml.safe_dump(document)
        assert not [key for key, value in given.items() if value in text], document["metadata"]["name"]
        if document["kind"] == "ConfigMap" and "settings" in document["metadata"]["name"]:
            assert not [key for key in document["data"] if SECRET_WORDS.search(key)]
    for where, pod in pods(golden(name)):
        for container in pod["containers"]:
            # Files, not variables: `kubectl describe` and a crash report show no variable with a password.
            assert all("secretKeyRef" not in entry.get("valueFrom", {}) for entry in container["env"]), where
            assert not any("secretRef" in source for source in container["envFrom"]), where
            (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "secrets"]
            assert mount["readOnly"] is True


@pytest.mark.parametrize("name", NAMES)
def test_opshub_starts_with_the_variables_and_secrets_of_a_pod(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    documents = golden(name)
    dsn = "postgresql://opshub:secret@hub/opshub"
    (tmp_path / "OPSHUB_HUB_DSN").write_text(dsn + "\n")
    # A mounted Secret has links to files of a folder that is hidden.
    (tmp_path / "..data").mkdir()
    for variable in setting_variables():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    for where, pod in pods(documents):
        for container in pod["containers"]:
            variables = environment(documents, container)
            refuse_unknown_variables(variables, set)
            places = {
                "OPSHUB_SECRETS_DIR": tmp_path,
                "OPSHUB_STATE_DIR": tmp_path,
                "OPSHUB_CONNECTORS_DIR": ROOT / "connectors",
            }
            assert places.keys() - {"OPSHUB_CONNECTORS_DIR"} <= variables.keys(), where
            with monkeypatch.context() as patch:
                for variable, value in variables.items():
                    patch.setenv(variable, str(places.get(variable, value)))
                settings = load_settings()
                known = load_env(settings)
            assert settings.hub == dsn, where
            assert "127.0.0.1" not in settings.kafka + settings.registry + settings.connect, where
            assert name != "production" or known["CRM_HOST"] == "crm-db.sales.svc"
            if "run" in container["args"]:
                assert settings.metrics_address == "0.0.0.0" and settings.metrics_port == 19100
                assert settings.worker == "opshub-worker-0"


@pytest.mark.parametrize("name", NAMES)
def test_console_may_listen_for_others(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    documents = golden(name)
    deployment = named(documents, "Deployment", "opshub-console")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for variable, value in environment(documents, container).items():
        if variable.startswith("OPSHUB_CONSOLE_TLS"):
            assert str(Path(value).parent) in mounts
            value = str(tmp_path / Path(value).name)
            Path(value).touch()
        monkeypatch.setenv(variable, value)
    access = access_of(Settings(_env_file=None))  # type: ignore[call-arg]
    # Without a name of its own, only a port that kubectl forwards leads to it.
    assert not access.is_local and access.is_secure is (name != "minimal")
    for ingress in (document for document in documents if document["kind"] == "Ingress"):
        assert {rule["host"] for rule in ingress["spec"]["rules"]} == access.hosts


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_exists(name: str) -> None:
    documents = golden(name)
    for where, pod in pods(documents):
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert len(volumes) == len(pod["volumes"]), where
        for container in pod["containers"]:
            mounted = [mount["name"] for mount in container["volumeMounts"]]
            assert set(mounted) == volumes, where
            writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable == {"state", "tmp"}, where
            for file in ("OPSHUB_STATE_DIR", "OPSHUB_SECRETS_DIR", "OPSHUB_CONNECTORS_DIR"):
                folder = environment(documents, container).get(file)
                paths = [mount["mountPath"] for mount in container["volumeMounts"]]
                assert folder is None or any(path == folder or path.startswith(f"{folder}/") for path in paths), where
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in documents
        if document["kind"] in ("StatefulSet", "Deployment", "Job")
    ]
    for document in documents:
        spec = document["spec"] if isinstance(document.get("spec"), dict) else {}
        selector = spec.get("podSelector", spec.get("selector", {}))
        wanted = selector.get("matchLabels", selector)
        if document["kind"] in ("Service", "PodDisruptionBudget", "StatefulSet", "Deployment"):
            assert any(wanted.items() <= have.items() for have in labels), document["metadata"]["name"]
        if "scaleTargetRef" in spec:
            scaled = named(documents, spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
            assert "replicas" not in scaled["spec"], "the autoscaler and each upgrade would undo one another"
        if document["kind"] == "ServiceMonitor":
            services = [d["metadata"]["labels"] for d in documents if d["kind"] == "Service"]
            assert any(wanted.items() <= have.items() for have in services)
            assert {"targetLabel": "job", "replacement": "opshub"} in spec["endpoints"][0]["relabelings"]


@pytest.mark.parametrize("name", NAMES)
def test_hook_uses_nothing_that_is_made_after_it(name: str) -> None:
    documents = golden(name)
    hooks = {
        (d["kind"], d["metadata"]["name"]): d["metadata"]["annotations"]
        for d in documents
        if "helm.sh/hook" in d["metadata"].get("annotations", {})
    }
    (job,) = [document for document in documents if document["kind"] == "Job"]
    pod = job["spec"]["template"]["spec"]
    used = {("ConfigMap", source["configMapRef"]["name"]) for source in pod["containers"][0]["envFrom"]}
    used |= {("ConfigMap", volume["configMap"]["name"]) for volume in pod["volumes"] if "configMap" in volume}
    used |= {("Secret", volume["secret"]["secretName"]) for volume in pod["volumes"] if "secret" in volume}
    made_here = {(d["kind"], d["metadata"]["name"]) for d in documents}
    if name == "strimzi":
        assert ("Job", job["metadata"]["name"]) not in hooks
        assert used <= made_here
        return
    assert hooks[("Job", job["metadata"]["name"])]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in pod
    for thing in used & made_here:
        assert int(hooks[thing]["helm.sh/hook-weight"]) < int(
            hooks[("Job", job["metadata"]["name"])]["helm.sh/hook-weight"]
        )


def test_workers_have_stable_names_and_all_roles() -> None:
    for name in NAMES:
        roles: list[str] = []
        for document in golden(name):
            if document["kind"] == "StatefulSet":
                (container,) = document["spec"]["template"]["spec"]["containers"]
                (worker,) = [entry for entry in container["env"] if entry["name"] == "OPSHUB_WORKER_NAME"]
                assert worker["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
                assert document["spec"]["podManagementPolicy"] == "Parallel"
                args = container["args"]
                roles += [args[at + 1] for at, arg in enumerate(args) if arg == "--role"] or [
                    "ingest",
                    "assemble",
                    "deliver",
                ]
        assert sorted(roles) == ["assemble", "deliver", "ingest"]


def test_connect_of_strimzi_has_the_settings_of_ours() -> None:
    lines = (ROOT / "docker/connect.properties").read_text().splitlines()
    ours = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    made_by_strimzi = {
        "bootstrap.servers",
        "group.id",
        "listeners",
        "rest.advertised.host.name",
        "rest.advertised.port",
        "plugin.path",
        "config.storage.topic",
        "offset.storage.topic",
        "status.storage.topic",
    }
    spec = named(golden("strimzi"), "KafkaConnect", "opshub")["spec"]
    theirs = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in spec["config"].items()
    }
    replicas = {key for key in theirs if key.endswith("replication.factor")}
    assert {theirs.pop(key) for key in replicas} == {"-1"}
    # Passwords come from a Secret as variables: Strimzi mounts no file where ours are.
    providers = {key for key in ours.keys() | theirs.keys() if key.startswith("config.providers")}
    assert theirs["config.providers"] == "env"
    assert {key: value for key, value in theirs.items() if key not in providers} == {
        key: value for key, value in ours.items() if key not in made_by_strimzi | replicas | providers
    }
    assert (spec["groupId"], spec["configStorageTopic"], spec["offsetStorageTopic"], spec["statusStorageTopic"]) == (
        ours["group.id"],
        ours["config.storage.topic"],
        ours["offset.storage.topic"],
        ours["status.storage.topic"],
    )


def test_connect_of_strimzi_knows_what_connectors_ask_for() -> None:
    documents = golden("strimzi")
    connect = named(documents, "KafkaConnect", "opshub")
    assert "strimzi.io/use-connector-resources" not in connect["metadata"].get("annotations", {})
    env = {entry["name"]: entry for entry in connect["spec"]["template"]["connectContainer"]["env"]}
    assert env["CRM_HOST"]["value"] == "crm-db.sales.svc"
    assert env["CRM_CAPTURE_PASSWORD"]["valueFrom"] == {
        "secretKeyRef": {"name": "opshub-secrets", "key": "CRM_CAPTURE_PASSWORD"}
    }
    assert "OPSHUB_HUB_DSN" not in env


def test_alerts_are_in_the_chart() -> None:
    (rule,) = [document for document in golden("production") if document["kind"] == "PrometheusRule"]
    assert [group["name"] for group in rule["spec"]["groups"]] == ["opshub", "opshub-watch"]

"""The chart with helm: it passes the linter, renders what the golden files say, and refuses what cannot work.

Run by `make test-helm`. Without helm they are reported as not run; `tests/unit/test_helm_chart.py` checks the golden files anyway.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.render import (
    CHART,
    EXAMPLES,
    MISSING,
    NAMESPACE,
    RELEASE,
    ROOT,
    golden,
    golden_text,
    helm,
    helm_path,
    is_dashboard,
    render,
)
from tests.helm.schemas import VERSIONS, problems

pytestmark = pytest.mark.skipif(helm_path() is None, reason=MISSING)

MINIMAL = ROOT / "docker/helm/examples/minimal.yaml"
STRIMZI = ROOT / "docker/helm/examples/strimzi.yaml"


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_linter_has_nothing_to_say(values: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout and "[ERROR]" not in done.stdout


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_golden_file_is_what_helm_renders(values: Path) -> None:
    assert golden_text(render(values)) == golden_text(golden(values.stem)), "`make helm-golden` writes it again"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"registry": {"url": ""}}, "registry.url is not set"),
    ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is not set"),
    ({"connect": {"url": ""}}, "connect.url is not set"),
    ({"secrets": {"existingSecret": ""}}, "secrets.existingSecret is not set"),
    ({"secrets": {"values": {"OPSHUB_HUB_DSN": "x"}}}, "both set"),
    ({"secrets": {"existingSecret": "", "values": {"CRM_PASSWORD": "x"}}}, "lacks OPSHUB_HUB_DSN"),
    ({"secrets": {"existingSecret": "", "values": {"OPSHUB_HUB_DSN": "x", "A": "x"}}, "variables": {"A": "y"}}, "A is in variables and in secrets.values"),
    ({"variables": {"OPSHUB_PARTITIONS": "4"}}, "write it as settings.partitions"),
    ({"workers": {"all": {"replicas": 5}}}, "up to 5 workers would run assemble, and settings.partitions is 4"),
    ({"workers": {"all": {"replicas": 3}, "ingest": {"replicas": 2}}}, "up to 5 workers would run ingest"),
    ({"workers": {"all": {"replicas": 0}, "ingest": {"replicas": 1}}}, "no worker runs assemble"),
    ({"workers": {"all": {"autoscaling": {"by": "keda", "maxReplicas": 9}}}}, "up to 9 workers"),
    ({"workers": {"all": {"autoscaling": {"by": "keda", "minReplicas": 3, "maxReplicas": 2}}}}, "minReplicas is more than maxReplicas"),
    ({"console": {"url": ""}}, "console.url is not set"),
    ({"console": {"url": "http://ops.example.com"}}, "console.url is not HTTPS"),
    ({"console": {"url": "https://ops.example.com"}}, "the console would serve without TLS"),
    ({"console": {"url": "https://ops.example.com", "proxy": "yes"}}, "name the controller in networkPolicy.console.from"),
    ({"console": {"ingress": {"enabled": True}}}, "console.ingress is enabled, and console.url is localhost"),
    ({"connectors": {"pathInImage": "/connectors", "files": {"ownership.yaml": ""}}}, "choose one of files"),
    ({"strimzi": {"enabled": True}}, "strimzi.enabled makes another Kafka"),
    ({"strimzi": {"enabled": True}, "kafka": {"bootstrapServers": ""}, "apply": {"as": "hook"}}, "set apply.as to auto or job"),
    ({"strimzi": {"enabled": True}, "kafka": {"bootstrapServers": ""}, "connect": {"url": ""}}, "strimzi.connect needs Debezium's plugin"),
    ({"strimzi": {"enabled": True}, "kafka": {"bootstrapServers": ""}, "settings": {"replication_factor": 5}}, "settings.replication_factor is 5"),
    ({"settings": {"min_insync_replicas": 2}}, "settings.min_insync_replicas is 2"),
    ({"workers": {"all": {"replica": 2}}}, "replica"),
    ({"settings": {"partition": 4}}, "partition"),
    ({"image": {"digest": "sha256:12"}}, "digest"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "says"), REFUSED, ids=[says[:60] for _, says in REFUSED])
def test_values_that_cannot_work_are_refused(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = helm("template", RELEASE, str(CHART), "--values", str(MINIMAL), "--values", str(file))
    assert done.returncode != 0
    assert says in done.stderr


def test_all_that_is_missing_is_named_at_once() -> None:
    done = helm("template", RELEASE, str(CHART))
    assert done.returncode != 0
    for name in ("registry.url", "kafka.bootstrapServers", "connect.url", "secrets.existingSecret"):
        assert name in done.stderr


VARIANTS: list[list[str]] = [
    ["console.enabled=false", "networkPolicy.enabled=false", "serviceAccount.create=false"],
    ["apply.as=job", "workers.podDisruptionBudget.enabled=false", "podSecurityContext.runAsUser=null"],
    ["apply.as=none", "connectors.pathInImage=/opt/connectors"],
    ["secrets.existingSecret=", "secrets.values.OPSHUB_HUB_DSN=x", "image.tag=1.2.3"],
    ["nameOverride=hub", "console.service.type=LoadBalancer", "console.service.port=443"],
    ["fullnameOverride=a-name-that-is-much-longer-than-forty-characters", "workers.all.autoscaling.by=hpa"],
    ["settings.session_timeout_ms=10000000", "settings.audit_days=3650"],
]


@pytest.mark.parametrize("chosen", VARIANTS, ids=lambda chosen: chosen[0])
def test_variants_are_valid_for_kubernetes(chosen: list[str]) -> None:
    documents = render(MINIMAL, *(part for value in chosen for part in ("--set", value)))
    for version in VERSIONS:
        assert {d["metadata"]["name"]: wrong for d in documents if (wrong := problems(d, version))} == {}
    for document in documents:
        # Kubernetes makes a label of a StatefulSet's name, a dash and ten digits.
        longest = 52 if document["kind"] == "StatefulSet" else 63
        assert len(document["metadata"]["name"]) <= longest


def test_large_numbers_stay_numbers(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("settings: {session_timeout_ms: 10000000, traces_share: 0.25, oidc_roles: {admins: admin}}")
    documents = render(MINIMAL, "--values", str(file))
    (settings,) = [d["data"] for d in documents if d["metadata"]["name"] == "opshub-settings"]
    assert settings["OPSHUB_SESSION_TIMEOUT_MS"] == "10000000"
    assert settings["OPSHUB_TRACES_SHARE"] == "0.25"
    assert settings["OPSHUB_OIDC_ROLES"] == '{"admins":"admin"}'


def test_pods_start_again_when_what_they_are_made_of_changes() -> None:
    def checksums(*more: str) -> dict[str, str]:
        documents = render(STRIMZI, *more)
        (worker,) = [document for document in documents if document["kind"] == "StatefulSet"]
        return dict(worker["spec"]["template"]["metadata"]["annotations"])

    before = checksums()
    for change, name in (
        ("settings.batch_size=5000", "checksum/settings"),
        ("secrets.values.CRM_CAPTURE_PASSWORD=new", "checksum/secrets"),
        ("connectors.files.ownership\\.yaml=new", "checksum/connectors"),
    ):
        after = checksums("--set", change)
        assert {key for key in before if before[key] != after[key]} == {name}


def test_notes_say_what_to_do_next(tmp_path: Path) -> None:
    # Only an installation shows the notes, and that needs a cluster: a copy of the chart has them in a ConfigMap.
    chart = tmp_path / "opshub"
    shutil.copytree(CHART, chart)
    (chart / "templates/notes.yaml").write_text(
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  notes: {{ include "opshub/templates/NOTES.txt" . | toJson }}\n'
    )

    def notes(values: Path) -> str:
        done = helm("template", RELEASE, str(chart), "-n", NAMESPACE, "-f", str(values), "-s", "templates/notes.yaml")
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["data"]["notes"])

    for values in EXAMPLES:
        names = {document["metadata"]["name"] for document in golden(values.stem)}
        text = notes(values)
        (pod,) = set(re.findall(r"exec (?:-it )?(\S+)-0 --", text))
        assert pod in names
        assert set(re.findall(r"job/(\S+)", text)) <= names
        url = yaml.safe_load(values.read_text()).get("console", {}).get("url", "http://localhost:18080")
        assert f"open {url}" in text
        assert ("port-forward service/opshub-console 18080:80" in text) is ("localhost" in url)


def test_every_dashboard_has_a_config_map_with_the_label_of_the_sidecar() -> None:
    boards = [document for document in render(ROOT / "docker/helm/examples/production.yaml") if is_dashboard(document)]
    assert {name: text for board in boards for name, text in board["data"].items()} == {
        path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docker/grafana").glob("*.json")
    }
    for board in boards:
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert problems(board, VERSIONS[-1]) == []


def test_package_holds_the_rules_and_the_dashboards(tmp_path: Path) -> None:
    done = helm("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("opshub-*.tgz")
    with tarfile.open(archive) as package:
        names = set(package.getnames())
        rules = package.extractfile("opshub/files/rules.yml")
        assert rules is not None and rules.read() == (ROOT / "docker/prometheus/rules.yml").read_bytes()
    assert {f"opshub/files/dashboards/{path.name}" for path in (ROOT / "docker/grafana").glob("*.json")} <= names

"""Renders the chart with helm, and reads what was rendered.

In: a values file. Out: the documents, in the order of helm. What the chart only passes on does not make golden files old: the
rules of Prometheus are replaced by the name of their file, and dashboards are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from streams.paths import cache_dir
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "docker/helm/opshub"
EXAMPLES = sorted((ROOT / "docker/helm/examples").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"
RELEASE, NAMESPACE = "opshub", "opshub"

MISSING = (
    "no helm on this machine: `make helm-setup` builds it with Go (10 minutes once), HELM=/path/to/helm names another"
)
"""Why tests with helm are reported as not run."""

Document = dict[str, Any]


def helm_path() -> Path | None:
    """helm: what HELM names, else what `make helm-setup` built, else the one on the path; None: there is none."""
    built = cache_dir(Settings()) / "helm/bin/helm"
    choices = [os.environ["HELM"]] if "HELM" in os.environ else [str(built), "helm"]
    found = next((path for name in choices if (path := shutil.which(name))), None)
    return Path(found) if found else None


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One call of helm; its text and exit code are the caller's to judge."""
    path = helm_path()
    assert path is not None, MISSING
    return subprocess.run([str(path), *arguments], capture_output=True, text=True, timeout=120)


def render(values: Path, *more: str) -> list[Document]:
    """The documents of an installation with a values file, its hooks and its test with them."""
    done = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(values), *more)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@cache
def golden(name: str) -> list[Document]:
    """The documents of a golden file, with the rules put in."""
    text = (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")
    return [_with_rules(document) for document in yaml.safe_load_all(text)]


def golden_text(documents: list[Document]) -> str:
    """A golden file: one document after the other, keys in the order of helm, without the files that are passed on."""
    kept = [_without_rules(document) for document in documents if not is_dashboard(document)]
    return yaml.safe_dump_all(kept, sort_keys=False, width=120)


def is_dashboard(document: Document) -> bool:
    """Whether a document holds a dashboard of docker/grafana."""
    return "-dashboard-" in document["metadata"]["name"]


def _without_rules(document: Document) -> Document:
    if document["kind"] != "PrometheusRule":
        return document
    rules = yaml.safe_load((ROOT / "docker/prometheus/rules.yml").read_text(encoding="utf-8"))
    assert document["spec"] == rules, "the PrometheusRule differs from docker/prometheus/rules.yml"
    return {**document, "spec": "docker/prometheus/rules.yml"}


def _with_rules(document: Document) -> Document:
    if document["kind"] != "PrometheusRule":
        return document
    return {**document, "spec": yaml.safe_load((ROOT / document["spec"]).read_text(encoding="utf-8"))}

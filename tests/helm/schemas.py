"""The schemas of Kubernetes and of the operators, as far as the chart uses them; `schemas/` holds one file for each origin.

    python -m tests.helm.schemas FOLDER CRD.yaml …

writes them again: FOLDER is the unpacked wheel `kubernetes-validate`, the others are the operators' definitions (Strimzi, KEDA,
Prometheus operator), from a checkout of each. Descriptions and kinds that the chart does not make are left out: the wheel has
70 MB. Unknown fields are errors, as they are for `kubectl apply --validate=strict`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

HERE = Path(__file__).parent / "schemas"
VERSIONS = ("1.27", "1.37")
"""The oldest Kubernetes that the chart takes, and the newest whose schemas could be had."""
KINDS = {
    "apps/v1 Deployment": "deployment-apps-v1",
    "apps/v1 StatefulSet": "statefulset-apps-v1",
    "autoscaling/v2 HorizontalPodAutoscaler": "horizontalpodautoscaler-autoscaling-v2",
    "batch/v1 Job": "job-batch-v1",
    "networking.k8s.io/v1 Ingress": "ingress-networking-v1",
    "networking.k8s.io/v1 NetworkPolicy": "networkpolicy-networking-v1",
    "policy/v1 PodDisruptionBudget": "poddisruptionbudget-policy-v1",
    "v1 ConfigMap": "configmap-v1",
    "v1 Pod": "pod-v1",
    "v1 Secret": "secret-v1",
    "v1 Service": "service-v1",
    "v1 ServiceAccount": "serviceaccount-v1",
}
_REFERENCE = "/api/_definitions.json#/$defs/"
_NOISE = {"description", "$schema", "$id", "format", "default", "title", "example"}


def kind_of(document: dict[str, Any]) -> str:
    """`apps/v1 StatefulSet`: the key of the document's schema."""
    return f"{document['apiVersion']} {document['kind']}"


@cache
def validator(kind: str, version: str) -> Any:
    """What checks documents of a kind. Raises KeyError for a kind without a schema."""
    operators = _read("operators.json")
    if kind in operators:
        return jsonschema_rs.validator_for(operators[kind])
    kubernetes = _read(f"kubernetes-{version}.json")
    return jsonschema_rs.validator_for({**kubernetes["kinds"][kind], "$defs": kubernetes["$defs"]})


def problems(document: dict[str, Any], version: str) -> list[str]:
    """What Kubernetes would refuse in a document, each with its place."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"
        for error in validator(kind_of(document), version).iter_errors(document)
    ]


@cache
def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return read


def _bare(node: Any, *, is_map: bool = False) -> Any:
    """A schema without what no check needs. `is_map`: its keys are names of fields, not of the schema language."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value.replace(_REFERENCE, "#/$defs/")
        if key == "$ref" and isinstance(value, str)
        else _bare(value, is_map=key in ("properties", "$defs") and not is_map)
        for key, value in node.items()
        if is_map or not (key in _NOISE or key.startswith("x-kubernetes"))
    }


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from _references(value)


def kubernetes_schemas(folder: Path, version: str) -> dict[str, Any]:
    """The kinds of the chart, and the definitions that they refer to."""
    folder = folder / f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict"
    kinds = {kind: _bare(json.loads((folder / f"{file}.json").read_text())) for kind, file in KINDS.items()}
    known = _bare(json.loads((folder / "_definitions.json").read_text()))["$defs"]
    needed: set[str] = set()
    waiting = set(_references(kinds))
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= set(_references(known[name])) - needed
    return {"kinds": kinds, "$defs": {name: known[name] for name in sorted(needed)}}


def _strict(node: Any) -> Any:
    """An operator's schema as JSON schema: unknown fields are refused, unless the operator keeps them."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: {name: _strict(field) for name, field in value.items()} if key == "properties" else _strict(value)
        for key, value in node.items()
        if not (key in _NOISE or key.startswith("x-kubernetes"))
    }
    if node.get("x-kubernetes-int-or-string"):
        made = {"type": ["integer", "string"]}
    if made.get("type") == "object" and "properties" in made and not node.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if made.pop("nullable", False) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def operator_schemas(files: list[Path]) -> dict[str, Any]:
    """`apiVersion kind` → its schema, of each served version."""
    schemas: dict[str, Any] = {}
    for file in files:
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"metadata": {"type": "object"}}
            schemas[f"{spec['group']}/{version['name']} {spec['names']['kind']}"] = schema
    return schemas


def main(wheel: Path, crds: list[Path]) -> None:
    HERE.mkdir(exist_ok=True)
    made = {f"kubernetes-{version}.json": kubernetes_schemas(wheel, version) for version in VERSIONS}
    made["operators.json"] = operator_schemas(crds)
    for name, schemas in made.items():
        (HERE / name).write_text(json.dumps(schemas, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])

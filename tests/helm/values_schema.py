"""docker/helm/opshub/values.schema.json, made from values.yaml and the settings: helm refuses what is misspelt.

In: the defaults of values.yaml, whose structure every values file must have, and `Settings`. Out: a JSON schema of draft 7.
`python -m tests.helm.write` writes it again; a test holds it equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from streams.settings import SECRETS, Settings
from streams.settings.variables import setting_variables

CHART = Path(__file__).parents[2] / "docker/helm/opshub"

OF_THE_CHART = {
    "bootstrap_servers", "cache_dir", "apply_wait_seconds", "connect_url", "connectors_dir", "console", "console_host", "console_port", "console_proxy", "console_tls_cert", "console_tls_key",
    "console_url", "host", "hub_dsn", "metrics_host", "metrics_port", "registry_url", "secrets_dir", "state_dir", "worker_name",
}  # fmt: skip
"""Settings that the chart makes itself, or that only the native stack reads; with each `…_port`."""
NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ANY_MAP = {"type": "object"}
QUANTITY = {"type": ["string", "number"], "pattern": "^[0-9.]+([EPTGMk]i?|m)?$"}
QUANTITIES = {
    "type": "object", "additionalProperties": False,
    "properties": {kind: {"type": "object", "additionalProperties": QUANTITY} for kind in ("requests", "limits")},
}  # fmt: skip
SERVICES = ["ClusterIP", "NodePort", "LoadBalancer"]
PULLS = ["Always", "IfNotPresent", "Never"]
DIGEST = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
COUNT = {"type": "integer", "minimum": 0}
MORE = {"type": "integer", "minimum": 1}

RULES: dict[str, dict[str, Any]] = {
    "image.repository": {"type": "string", "minLength": 1, "pattern": "^[^@]+$"},
    "image.digest": DIGEST,
    "image.pullPolicy": {"enum": PULLS},
    "image.tag": {"type": ["string"]},
    "imagePullSecrets": {"type": "array", "items": {"type": "string"}},
    "kafka.bootstrapServers": {"type": "string", "pattern": r"^([^\s:,]+:[0-9]+(,[^\s:,]+:[0-9]+)*)?$"},
    "registry.url": {"type": "string", "pattern": r"^(https?://\S+)?$"},
    "connect.url": {"type": "string", "pattern": r"^(https?://\S+)?$"},
    "connectors.files": {**TEXTS, "propertyNames": {"pattern": "^[a-z0-9._-]+(/[a-z0-9._-]+)?$"}},
    "connectors.configMaps": {
        **TEXTS,
        "propertyNames": {"pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 50},
    },
    "variables": {
        "type": "object",
        "propertyNames": NAME,
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "podSecurityContext": ANY_MAP,
    "containerSecurityContext": ANY_MAP,
    "console.url": {"type": "string", "pattern": r"^(https?://[^/\s?#]+/?)?$"},
    "console.proxy": {"type": "string", "pattern": r"^(yes|[0-9a-fA-F.:/]+(,\s*[0-9a-fA-F.:/]+)*)?$"},
    "console.service.type": {"enum": SERVICES},
    "console.service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "apply.as": {"enum": ["auto", "hook", "job", "none"]},
    "monitoring.serviceMonitor.interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
    "networkPolicy.console.from": {"type": "array", "items": ANY_MAP},
    "networkPolicy.metrics.from": {"type": "array", "items": ANY_MAP},
    "networkPolicy.egress": {"type": "array", "items": ANY_MAP},
    "extraVolumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    "extraVolumeMounts": {"type": "array", "items": {"type": "object", "required": ["name", "mountPath"]}},
    "strimzi.clients": {"type": "array", "items": ANY_MAP},
    "strimzi.config": ANY_MAP,
    "strimzi.connect.config": ANY_MAP,
    "strimzi.connect.secretKeys": {"type": "array", "items": NAME},
    "strimzi.brokers.replicas": MORE,
    "strimzi.controllers.replicas": {"enum": [1, 3, 5, 7]},
    "strimzi.connect.replicas": MORE,
    "workers.terminationGracePeriodSeconds": MORE,
    "workers.startWithin": {"type": "integer", "minimum": 10},
}
"""Path of a value → its schema, where the default does not say enough."""

ENDS: dict[str, dict[str, Any]] = {
    "resources": QUANTITIES,
    "autoscaling.by": {"enum": ["none", "hpa", "keda"]},
    "maxReplicas": MORE,
    "minReplicas": MORE,
    "lagPerWorker": MORE,
    "scaleUpAfter": {"type": "integer", "minimum": 0, "maximum": 3600},
    "scaleDownAfter": {"type": "integer", "minimum": 0, "maximum": 3600},
    "maxUnavailable": MORE,
    "heap": {"type": "string", "pattern": "^[0-9]+[mg]$"},
    "storage.size": {"type": "string", "pattern": "^[0-9]+[GMT]i$"},
    "annotations": TEXTS,
    "podAnnotations": TEXTS,
    "podLabels": TEXTS,
    "labels": TEXTS,
    "nodeSelector": TEXTS,
    "affinity": ANY_MAP,
    "tolerations": {"type": "array", "items": ANY_MAP},
    "topologySpreadConstraints": {"type": "array", "items": ANY_MAP},
    "extraEnv": {"type": "array", "items": {"type": "object", "required": ["name"]}},
}
"""The same by the end of the path."""


def chart_settings() -> dict[str, Any]:
    """Setting → its schema, for those that a values file may have in `settings`."""
    known = Settings.model_json_schema()["properties"]
    wanted = [
        name for name in Settings.model_fields if name not in {*OF_THE_CHART, *SECRETS} and not name.endswith("_port")
    ]
    return {name: _setting(known[name]) for name in wanted}


def _setting(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in ("default", "title", "format", "writeOnly")}
    if "$ref" in str({key: value for key, value in kept.items() if key != "description"}):
        # A class of its own: the worker names what is wrong in it.
        return {"type": "object", "description": kept["description"]}
    return kept


def _of(default: Any, path: str) -> dict[str, Any]:
    if path in RULES:
        return RULES[path]
    for end, schema in ENDS.items():
        if path == end or path.endswith(f".{end}"):
            return schema
    if isinstance(default, dict):
        fields = {key: _of(value, f"{path}.{key}" if path else key) for key, value in default.items()}
        return {"type": "object", "additionalProperties": False, "properties": fields}
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, int):
        return COUNT
    if isinstance(default, str):
        return {"type": "string"}
    raise TypeError(f"no rule for the value {path}: add one to RULES")


def values_schema() -> dict[str, Any]:
    """The whole schema. Raises TypeError for a list or null in values.yaml that no rule describes."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = _of({**values, "settings": {}, "secrets": {}}, "")
    # `global` is what a chart above this one hands down.
    schema["properties"] |= {
        "global": ANY_MAP,
        "settings": {"type": "object", "additionalProperties": False, "properties": chart_settings(), "required": ["partitions"]},
        "secrets": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "existingSecret": {"type": "string"},
                "values": {
                    "type": "object", "additionalProperties": {"type": "string"},
                    "propertyNames": {**NAME, "anyOf": [{"not": {"pattern": "^OPSHUB_"}}, {"enum": setting_variables()}]},
                },
            },
        },
    }  # fmt: skip
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart opshub", **schema}

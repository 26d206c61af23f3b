"""The schema registry, by its Confluent-compatible REST API: register schemas, check whether it would accept them."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from streams.emit.compatibility import require_compatible
from streams.errors import ConfigError, DecodeError, EnvironmentFault, ServerAway
from streams.model.entities import ENTITIES
from streams.paths import schemas_dir

COMPATIBILITY = "BACKWARD_TRANSITIVE"
"""A compacted topic keeps records of every version: a new schema must read them all, not only the last."""
_HEADERS = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


def subjects() -> dict[str, Path]:
    """subject → the file with its schema. Subjects are named `<topic>-value`.

    The topics `changes.*` have none: they are internal and hold MessagePack.
    """
    folder = schemas_dir()
    files = {f"{entity.topic}-value": folder / f"{name}.avsc" for name, entity in ENTITIES.items() if entity.topic}
    files["conflicts-value"] = folder / "conflict.avsc"
    return files


def register_all(url: str) -> dict[str, int]:
    """Register every schema that is not there yet; subject → id.

    Raises EnvironmentFault while the registry does not answer, ConfigError with the registry's message when it refuses
    a schema.
    """
    ids = {}
    with _client(url) as client:
        for subject, path in subjects().items():
            known = _lookup(client, subject, path)
            ids[subject] = known if known is not None else _register(client, subject, path)
    return ids


def pending_schemas(url: str) -> list[tuple[str, str]]:
    """(subject, `register` or `evolve`) of what register_all would do. Raises ConfigError for a schema that would be
    refused.
    """
    require_compatible()
    todo = []
    with _client(url) as client:
        for subject, path in subjects().items():
            if _lookup(client, subject, path) is not None:
                continue
            known = _call(client, "GET", f"/subjects/{subject}/versions")
            if known.status_code == 404:
                todo.append((subject, "register"))
                continue
            answer = _call(
                client, "POST", f"/compatibility/subjects/{subject}/versions?verbose=true", _body(path)
            ).json()
            if answer.get("is_compatible") is False:
                raise _refused(
                    subject, path, "; ".join(answer.get("messages", [])) or "not compatible with what was registered"
                )
            todo.append((subject, "evolve"))
    return todo


def fetch_schema(client: httpx.Client, schema_id: int) -> str:
    """The Avro schema of this id, as JSON text. Raises DecodeError when the registry has none of that id."""
    answer = _call(client, "GET", f"/schemas/ids/{schema_id}")
    if answer.status_code == 404:
        raise DecodeError(
            f"the registry at {client.base_url} knows no schema {schema_id}", remedy="is it the registry of this topic?"
        )
    if answer.status_code >= 400:
        raise EnvironmentFault(
            f"the schema registry gives no schema {schema_id}: {answer.text[:300]}", remedy="see its log"
        )
    return str(answer.json()["schema"])


def _client(url: str) -> httpx.Client:
    # Certificates take a while to read, and are of no use without TLS.
    return httpx.Client(base_url=url, timeout=20, verify=url.startswith("https:"))


def _lookup(client: httpx.Client, subject: str, path: Path) -> int | None:
    answer = _call(client, "POST", f"/subjects/{subject}", _body(path))
    return int(answer.json()["id"]) if answer.status_code == 200 else None


def _register(client: httpx.Client, subject: str, path: Path) -> int:
    _call(client, "PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})
    answer = _call(client, "POST", f"/subjects/{subject}/versions", _body(path))
    if answer.status_code >= 400:
        raise _refused(subject, path, str(answer.json().get("message", answer.text)))
    _call(client, "PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})
    return int(answer.json()["id"])


def _refused(subject: str, path: Path, words: str) -> ConfigError:
    return ConfigError(
        f"the registry refuses {path} for {subject}: {words}",
        remedy=f"{COMPATIBILITY}: give a new field a default, leave the type of an old one alone",
    )


def _body(path: Path) -> dict[str, object]:
    return {
        "schemaType": "AVRO",
        "schema": json.dumps(json.loads(path.read_text(encoding="utf-8")), separators=(",", ":")),
    }


def _call(client: httpx.Client, method: str, path: str, body: object = None) -> httpx.Response:
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_delay(10),
            wait=wait_exponential(0.1, max=2),
            reraise=True,
        ):
            with attempt:
                answer = client.request(method, path, json=body, headers=_HEADERS)
    except httpx.TransportError as error:
        raise ServerAway(
            f"the schema registry does not answer at {client.base_url}: {error}",
            remedy="check that it runs, and OPSHUB_REGISTRY_URL",
        ) from error
    if answer.status_code >= 500:
        raise EnvironmentFault(
            f"the schema registry failed on {path}: {answer.text[:300]}", remedy="see the registry's log"
        )
    return answer

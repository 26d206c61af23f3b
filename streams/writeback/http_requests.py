"""Requests over HTTP: templates with their parameters. Pure.

In: a call of a rule, its parameters, the lines. Out: the request as JSON, as it is sent and as people see it. Raises
NotSent for a name that is no parameter, and for an empty value in a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict
from xml.sax.saxutils import escape

from streams.writeback.failures import NotSent
from streams.writeback.http_rules import Call
from streams.writeback.jobs import Parameters
from streams.writeback.templates import NAME, fill, fill_path, param, text_value


class HttpRequest(TypedDict):
    """One request as JSON. It has one body, or none: `json` is None then."""

    method: str
    path: str
    query: Parameters
    headers: dict[str, str]
    json: Any
    form: NotRequired[dict[str, Any]]
    multipart: NotRequired[dict[str, Any]]
    xml: NotRequired[str]


def build_request(call: Call, params: Mapping[str, object], lines: Sequence[Mapping[str, object]]) -> HttpRequest:
    """The request of a call."""
    body = fill(call.json_body, params, lines)
    if call.rpc is not None:
        body = {"method": call.rpc.method, "params": body}
        if call.rpc.version == "2.0":
            body = {"jsonrpc": "2.0", **body}
    request: HttpRequest = {
        "method": call.method,
        # `/orders/` instead of `/orders/7` would be another request, perhaps an accepted one.
        "path": fill_path(call.path, params),
        "query": fill(call.query, params, lines),
        "headers": fill(call.headers, params, lines),
        "json": body,
    }
    if call.form is not None:
        request["form"] = {name: value for name, value in fill(call.form, params, lines).items() if value is not None}
    if call.multipart is not None:
        request["multipart"] = fill(call.multipart, params, lines)
    if call.xml is not None:
        request["xml"] = NAME.sub(lambda match: _xml_text(param(params, match.group(2))), call.xml)
    return request


def body_of(request: HttpRequest, *, has_json: bool) -> dict[str, Any]:
    """The body, as httpx takes it."""
    if "form" in request:
        return {"data": request["form"]}
    if "multipart" in request:
        return {"files": [(name, _part(name, value)) for name, value in request["multipart"].items()]}
    if "xml" in request:
        return {"content": request["xml"].encode()}
    return {"json": request["json"]} if has_json else {}


def _part(name: str, value: object) -> tuple[str | None, bytes] | tuple[str, bytes, str]:
    """One part of a multipart body: a field, or a file."""
    if not isinstance(value, dict):
        return None, text_value(value).encode()
    if set(value) - {"file", "content", "type"} or not {"file", "content"} <= set(value):
        raise NotSent(f"multipart {name}: write {{file: <its name>, content: <a text>, type: <its media type>}}")
    content = text_value(value["content"]).encode()
    return str(value["file"]), content, str(value.get("type", "application/octet-stream"))


def _xml_text(value: object) -> str:
    """A value in an XML text: it can neither end its element nor begin another."""
    return escape(text_value(value), {'"': "&quot;", "'": "&apos;"})

"""The API: a route for each operation, errors as problem+json (RFC 9457), and its OpenAPI description."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import context_of
from streams.console.operation import API, OPERATIONS, Operation, convert, path_names, read_wanted, run
from streams.console.problems import WrongInput, problem_answer
from streams.errors import OpshubError

LARGEST_BODY = 1 << 20
"""Bytes: nothing that people send is larger, an edited record included."""


class Problem(msgspec.Struct):
    """What went wrong, as RFC 9457 has it; `remedy` says what to do."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    remedy: str = ""


def routes() -> list[Route]:
    """A route for each operation, and the description."""
    made = [Route(f"{API}{o.path}", _endpoint(o), methods=[o.method]) for o in OPERATIONS.values()]
    return [Route(f"{API}/openapi.json", describe, methods=["GET"]), *made]


def _endpoint(operation: Operation) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            wanted = await _wanted(request, operation)
            context = context_of(request)._replace(via="api")
            result = await run_in_threadpool(run, context, operation.function, wanted)
        except OpshubError as error:
            return problem_answer(error)
        return Response(msgspec.json.encode(result), media_type="application/json")

    return answer


async def _wanted(request: Request, operation: Operation) -> msgspec.Struct:
    """What the request asks for: path and query for GET, path and JSON body for the others. Raises WrongInput."""
    inside = {name: [str(value)] for name, value in request.path_params.items()}
    if operation.method == "GET":
        query = {name: request.query_params.getlist(name) for name in request.query_params}
        unknown = sorted(query.keys() - set(operation.wanted.__struct_fields__))
        if unknown:
            raise WrongInput(f"there is no parameter {unknown[0]!r}", remedy=f"see {API}/openapi.json")
        return read_wanted(operation.wanted, {**query, **inside})
    # A page of another site can send no such header without the browser asking us first: that keeps its forms out.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise WrongInput("the body is not JSON", remedy="send `Content-Type: application/json`")
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise WrongInput(f"the body has more than {LARGEST_BODY:,} bytes")
    try:
        values = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongInput(f"the body is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise WrongInput("the body is no JSON object")
    from_path = read_wanted_texts(operation, inside)
    return convert(operation.wanted, {**values, **from_path}, strict=False)


def read_wanted_texts(operation: Operation, inside: dict[str, list[str]]) -> dict[str, str]:
    """The values of the path, as the struct takes them."""
    return {name: texts[-1] for name, texts in inside.items() if name in operation.wanted.__struct_fields__}


async def describe(request: Request) -> Response:
    """The OpenAPI description."""
    return Response(description(), media_type="application/json")


@cache
def description() -> bytes:
    """OpenAPI 3.1 of all operations, from their types."""
    types = [kind for o in OPERATIONS.values() for kind in (o.wanted, o.result)]
    schemas, components = msgspec.json.schema_components(
        [*types, Problem], ref_template="#/components/schemas/{name}", schema_hook=_schema_of
    )
    of_wanted = dict(zip([o.name for o in OPERATIONS.values()], schemas[:-1:2], strict=True))
    of_result = dict(zip([o.name for o in OPERATIONS.values()], schemas[1:-1:2], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for o in OPERATIONS.values():
        about = _described(o, of_wanted[o.name], of_result[o.name], components, schemas[-1])
        paths.setdefault(f"{API}{o.path}", {})[o.method.lower()] = about
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "opshub", "version": version("opshub"), "description": "What the console's pages use."},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
        }
    )


def _schema_of(kind: type) -> dict[str, Any]:
    """The schema of a type that msgspec does not know: an `object` may be any JSON value."""
    if kind is object:
        return {"description": "Any JSON value."}
    raise NotImplementedError(f"{kind} has no JSON schema")


def _described(
    o: Operation, wanted: dict[str, Any], result: dict[str, Any], components: dict[str, Any], failed: dict[str, Any]
) -> dict[str, Any]:
    fields = components[wanted["$ref"].rsplit("/", 1)[1]]
    required = set(fields.get("required", []))
    inside = path_names(o.path)
    outside = {name: schema for name, schema in fields.get("properties", {}).items() if name not in inside}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": fields["properties"][name]} for name in inside
    ]
    about: dict[str, Any] = {
        "operationId": o.name,
        "summary": o.summary,
        "description": f"{o.description} Needs the right to {o.permission}.".strip(),
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": result}}},
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {"application/problem+json": {"schema": failed}},
                }
                for status in (400, 401, 403, 404, 409, 422, 429, 503)
            },
        },
    }
    if o.method == "GET":
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in outside.items()
        ]
    elif outside:
        body = {"type": "object", "properties": outside, "required": sorted(required & outside.keys())}
        about["requestBody"] = {
            "required": bool(required & outside.keys()),
            "content": {"application/json": {"schema": body}},
        }
    return about | ({"parameters": parameters} if parameters else {})

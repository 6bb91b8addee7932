"""The OpenAPI 3.1 document, made of the route table and of the schemas that validate. Source: spec.openapis.org, 3.1.0."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from services.api import schemas
from services.api.schemas import queries, shown
from services.api.serving import Call, call_of

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
DESCRIPTION = """Databases as a service on any host that speaks SSH. Ids are UUIDs, times RFC 3339 in UTC, errors RFC 9457.
A write that takes time answers 202 with the resource and the operation in `Location`."""
_IDEMPOTENCY = {
    "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 255},
    "description": "the same key and body give the first answer again, for 24 hours; another body is refused with 422",
}  # fmt: skip
_LAST_EVENT = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"},
               "description": "resume the stream after this event"}  # fmt: skip
_RANGE = {"name": "Range", "in": "header", "required": False, "schema": {"type": "string"},
          "description": "one range of bytes, as in `bytes=1000-`"}  # fmt: skip
_WHY = {
    400: "the request cannot be read, or its body is not JSON", 401: "no token, or one that is unknown, expired or revoked",
    403: "the token's role is too low", 404: "it is not there, or another project's",
    408: "the body did not arrive in time", 409: "the state of things forbids it", 413: "the body is too large",
    415: "the body is not JSON", 416: "there are no such bytes", 422: "the input is refused; `errors` names each field",
    429: "this client asks too much; see `Retry-After`", 503: "a dependency is away; see `Retry-After`",
}  # fmt: skip

# Streams that go on after the last event that was seen.
RESUMED = ("/v1/events", "/v1/instances/{instance_id}/logs")
Route = tuple[str, type[Any], str]


def methods_of(route: Route) -> dict[str, Callable[..., Any]]:
    """The responders of a route by method."""
    _, resource, suffix = route
    ending = f"_{suffix}" if suffix else ""
    found = {method: getattr(resource, f"on_{method}{ending}", None) for method in METHODS}
    return {method: responder for method, responder in found.items() if responder is not None}


_ID = {"type": "string", "format": "uuid"}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document for these routes. Raises TypeError for a responder that declares nothing."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(title="DTrove", version=version, openapi_version="3.1.0", plugins=[plugin],
                   info={"description": DESCRIPTION})  # fmt: skip
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme("keystone", {"type": "apiKey", "in": "header", "name": "X-Auth-Token"})
    spec.components.schema("ProblemDetails", schema=shown.ProblemDetails)
    for route in routes:
        operations = {method: _operation(route, method, responder) for method, responder in methods_of(route).items()}
        spec.path(path=route[0], operations=operations)
    return dict(spec.to_dict())


def _operation(route: Route, method: str, responder: Callable[..., Any]) -> dict[str, Any]:
    path, resource, _ = route
    call = call_of(responder)
    if call is None:
        raise TypeError(f"{resource.__name__}.on_{method} of {path} does not say what it takes and gives")
    summary, _, more = (inspect.getdoc(responder) or "").partition("\n")
    needs = f"Needs the role `{call.role}`." if call.role not in ("", "reader") else ""
    described: dict[str, Any] = {
        "operationId": "_".join(filter(None, (method, *re.findall(r"[a-z_]+", path.removeprefix("/v1"))))),
        "summary": summary.rstrip("."),
        "description": "\n\n".join(filter(None, (more.strip(), needs))),
        "tags": [path.removeprefix("/v1").split("/")[1]],
        "parameters": _parameters(path, method, call),
        "responses": _responses(path, call),
        "security": [{"token": []}, {"keystone": []}] if call.role else [],
    }
    if call.takes not in (None, schemas.Empty):
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": call.takes}}}
    return described


def _parameters(path: str, method: str, call: Call) -> list[Any]:
    found: list[Any] = [
        {"name": name, "in": "path", "required": True, "schema": _ID if name.endswith("_id") else {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if call.query is not queries.Nothing:
        found.append({"in": "query", "schema": call.query})
    if method == "post":
        found.append(_IDEMPOTENCY)
    if path in RESUMED:
        found.append(_LAST_EVENT)
    if call.ranges:
        found.append(_RANGE)
    return found


def _responses(path: str, call: Call) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if call.gives is not None:
        content["application/json"] = {"schema": call.gives}
    elif call.status != 204 and not call.media:
        content["application/json"] = {"schema": {"type": "object"}}
    content |= {kind: {"schema": {"type": "string"}} for kind in call.media}
    good: dict[str, Any] = {"description": "done"}
    if content:
        good["content"] = content
    if call.status == 202:
        good["description"] = "accepted; the work is under way"
        good["headers"] = {"Location": {"description": "the operation", "schema": {"type": "string"}}}
    found = {str(call.status): good}
    for status, schema in call.also.items():
        found[str(status)] = {"description": "a plan; nothing was changed" if status == 200 else "not now",
                              "content": {"application/json": {"schema": schema}}}  # fmt: skip
    if call.ranges:
        found["206"] = {"description": "the bytes that `Range` asks for", "content": content}
        found["307"] = {"description": "it is to be had at the `Location`"}
    problem = {PROBLEM: {"schema": shown.ProblemDetails}}
    for status in _refusals(path, call):
        found.setdefault(str(status), {"description": _WHY[status], "content": problem})
    return found


def _refusals(path: str, call: Call) -> list[int]:
    wrong = [400, 422, 429, 503]
    if path == "/metrics":
        # It is open, and takes a token all the same: a bad one is refused.
        wrong.append(401)
    if call.role:
        wrong += [401] if call.role == "reader" else [401, 403]
    if "{" in path:
        wrong.append(404)
    if call.takes is not None:
        wrong += [408, 413, 415]
    if call.conflicts or call.takes is not None:
        wrong.append(409)
    if call.ranges:
        wrong.append(416)
    return sorted(wrong)


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__)

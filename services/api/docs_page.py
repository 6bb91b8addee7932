"""The OpenAPI document as one page of HTML, with its own style and nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .3rem 0 }
code { font: 13px ui-monospace, monospace }
b { display: inline-block; min-width: 4rem; text-transform: uppercase; font-size: 12px }
table { border-collapse: collapse; margin: .5rem 0 1rem } td { padding: .1rem .8rem .1rem 0; vertical-align: top }
details details { margin-left: 1rem } h2 { margin: 2rem 0 .5rem; text-transform: capitalize }
"""


def page(document: dict[str, Any]) -> str:
    """The page."""
    info = document["info"]
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in tags.items())
    schemas = "".join(_schema(name, one) for name, one in sorted(document["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>{escape(info["title"])} '
        f"{escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>For programs: <a href="/v1/openapi.json">/v1/openapi.json</a></p>{body}<h2>objects</h2>{schemas}</html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        _row(f"{one['name']} ({one['in']})", _kind(one["schema"]), one.get("description", ""))
        for one in operation["parameters"]
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        parameters += _row("body", _kind(body), "")
    answers = "".join(
        _row(status, ", ".join(_kind(kind["schema"]) for kind in one.get("content", {}).values()), one["description"])
        for status, one in operation["responses"].items()
    )
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation['description'])}</p><table>{parameters}</table><table>{answers}</table></details>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = "".join(
        _row(field + ("" if field in needed else " ?"), _kind(kind), kind.get("description", ""))
        for field, kind in schema.get("properties", {}).items()
    )
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><table>{rows}</table></details>'


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema or "allOf" in schema:
        return " or ".join(_kind(one) for one in schema.get("anyOf") or schema["allOf"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(" or ".join(kind) if isinstance(kind, list) else str(schema.get("format", kind)))


def _row(name: str, kind: str, words: str) -> str:
    return f"<tr><td><code>{escape(name)}</code><td>{kind}<td>{escape(words)}</tr>"

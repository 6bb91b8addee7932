"""Writes docs/reference/ from the code: `python -m scripts.reference`; with `--check` it only says what is stale."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer
from typer.cli import get_docs_for_click

from client.cli import app as cli
from client.configuration import declared
from client.exits import MEANINGS as EXITS
from client.local.configuration import load
from services.api import backup_metrics
from services.api.domain.seen import Answer, Seen
from services.api.gauges import gauges
from services.api.node_metrics import FAMILIES, LABELS
from services.api.openapi import document
from services.api.routes import ROUTES
from shared.config import REQUIRED
from shared.contracts import REGISTRY, dump
from shared.contracts.glossary import meaning_of
from shared.contracts.state import ProviderState, ServiceState

ROOT = Path(__file__).resolve().parent.parent
FOLDER, CONFIG = ROOT / "docs" / "reference", ROOT / "config.yaml"
NOTE = "<!-- Made by `make docs` from the code. Change the code, not this page. -->\n"
_MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
EXAMPLE_ID = "6f1c0f0e-6f2b-4a5e-9b0a-0c5a4a3d2f10"
WORDS = {
    "addr": "10.9.0.2", "host": "orders-1", "name": "orders", "manager": "pgsql", "version": "15", "status": "running",
    "step": "install", "service": "datastore_agentless", "kind": "full", "image": "debian-12", "user": "root",
    "url": "postgresql://dtrove@10.9.0.2:5432/postgres", "host_key": "ssh-ed25519 AAAA...", "provider": "local",
    "public_key": "ssh-ed25519 AAAA...", "expected": "ssh-ed25519 AAAA...", "seen": "ssh-ed25519 BBBB...",
    "project_id": "default", "token": "(a project's token)", "started_at": "2026-01-31T12:00:00+00:00",
}  # fmt: skip


def settings_page() -> str:
    """Every option: who reads it, its default, its meaning."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for program, options in declared():
        for option in options:
            found.setdefault(option.name, (option, []))[1].append(program)
    shipped = load(CONFIG, {})
    rows = []
    for name, (option, programs) in found.items():
        default = str(shipped.get(name) or "(required)") if option.default == REQUIRED else option.default
        rows.append((f"`{name}`", ", ".join(programs), f"`{default}`" if default else "", option.meaning))
    return "\n".join((
        "# Settings", NOTE,
        "The services read `config.yaml`, in which each option is the environment variable of the same name, or what stands "
        "behind the colon. `dtrove` itself reads the environment. `dtrove config` shows the values in use, where each comes "
        "from, and what is wrong or unwise. A service whose configuration is wrong lists everything at once and exits "
        "with 78.\n",
        *_table(("option", "read by", "default", "meaning"), rows), "",
    ))  # fmt: skip


def events_page() -> str:
    """Every event: exchange, routing key, fields, an example."""
    lines = [
        "# Events", NOTE,
        "Topic exchange `<publisher>.events`, the event's name as routing key, JSON as body. Unknown fields are ignored; "
        "every event may come twice, and `event_id` says so. Other systems publish to `external.events`.\n",
    ]  # fmt: skip
    values: dict[str, type[Any]] = {}
    for (publisher, topic), contract in sorted(REGISTRY.items()):
        exchange = "`<service>.events` of each service" if publisher == "*" else f"`{publisher}.events`"
        lines += [f"## {topic}", "", f"From {exchange}. {_prose(contract)}", "", *_fields(contract), "", "```json",
                  json.dumps(dump(_example(contract, "")), indent=2), "```", ""]  # fmt: skip
        values |= {one.__name__: one for one in _nested(contract)}
    lines += ["# Values that events carry", ""]
    for name, contract in sorted(values.items()):
        lines += [f"## {name}", "", _prose(contract), "", *_fields(contract), ""]
    return "\n".join(lines)


def http_page() -> str:
    """Every route, from the OpenAPI document."""
    described = document(ROUTES, "")
    lines = ["# HTTP", NOTE, described["info"]["description"] + "\n\nFor programs: `/v1/openapi.json`.", ""]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            lines += _operation(path, method, operation)
    lines += ["# Objects", ""]
    for name, schema in sorted(described["components"]["schemas"].items()):
        rows = [
            (f"`{field}`", _kind(one), one.get("description", ""))
            for field, one in schema.get("properties", {}).items()
        ]
        lines += [f"## {name}", "", *_table(("field", "type", "meaning"), rows), ""]
    return "\n".join(lines)


def cli_page() -> str:
    """Every command, in typer's own words, and the exit codes."""
    command = typer.main.get_command(cli)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="dtrove").strip()
    codes = _table(("code", "meaning"), [(str(int(code)), meaning) for code, meaning in EXITS.items()])
    return "\n".join(("# Command line", NOTE, *codes, "", text.replace("# `dtrove`", "## `dtrove`", 1), ""))


def metrics_page() -> str:
    """Every metric of nodes and engines, and those of the control plane that are seen from time to time."""
    state = ServiceState(
        service="provisioner", now=_MOMENT, provider=ProviderState(name="local", answers=True), orphans={}
    )
    seen = Seen(at=_MOMENT, services={"provisioner": Answer(state=state)})
    of_control = [(f"`{one.name}`", one.type, one.documentation) for one in gauges(seen, 0.0)]
    of_nodes = [(f"`{one.name}`", one.kind, one.words) for one in FAMILIES]
    of_backups = [(f"`{name}`", "gauge", words) for name, words in backup_metrics.FAMILIES.items()]
    return "\n".join((
        "# Metrics", NOTE,
        "What `GET /metrics` of the API shows to Prometheus. Bytes and seconds; what ends in `_total` only grows while the engine "
        "runs. [How to use them](../guides/monitoring.md).\n",
        "## Of each node", "",
        f"For whoever sends a token. Labels: {', '.join(f'`{one}`' for one in LABELS)}; `verdict`, and `disk` (data, root, tmp), where "
        "the name says so.\n",
        *_table(("metric", "kind", "meaning"), of_nodes), "",
        "## Of each cluster's backups", "",
        f"For whoever sends a token as well. Labels: {', '.join(f'`{one}`' for one in backup_metrics.LABELS)}.\n",
        *_table(("metric", "kind", "meaning"), of_backups), "",
        "## Of DTrove itself", "",
        "Besides these: `dtrove_clusters`, `dtrove_instances`, `dtrove_operations` and `dtrove_backups` by `status`, `dtrove_nodes` by `verdict`, "
        "`dtrove_nodes_seen_seconds_ago`, `dtrove_parked_messages`, `dtrove_http_requests_total` by `route`, `method` and `status`, "
        "`dtrove_http_request_seconds` by `route` and `method`.\n",
        *_table(("metric", "kind", "meaning"), of_control), "",
    ))  # fmt: skip


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page, "events.md": events_page, "http.md": http_page, "cli.md": cli_page,
    "metrics.md": metrics_page,
}  # fmt: skip


def stale(folder: Path = FOLDER) -> list[str]:
    """The pages that are not what the code says."""
    return [
        name for name, page in PAGES.items() if not (folder / name).exists() or (folder / name).read_text() != page()
    ]


def main() -> int:
    """Write the pages, or with `--check` name those that are stale and end with 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args().check:
        old = stale()
        if old:
            print(f"stale: {', '.join(old)}; run `make docs`", file=sys.stderr)
        return 1 if old else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
        print(FOLDER / name)
    return 0


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"


def _prose(contract: type[Any]) -> str:
    return " ".join((contract.__doc__ or "").split())


def _fields(contract: type[Any]) -> Iterator[str]:
    hints = get_type_hints(contract)
    items = dataclasses.fields(contract)
    rows = [
        (f"`{item.name}`", _type(hints[item.name]), _needed(item), meaning_of(contract, item.name)) for item in items
    ]
    return _table(("field", "type", "needed", "meaning"), rows)


def _needed(item: dataclasses.Field[Any]) -> str:
    missing = dataclasses.MISSING
    return "yes" if item.default is missing and item.default_factory is missing else ""


def _type(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if one is type(None) else _type(one) for one in args)
    if origin is tuple:
        return f"list of {_type(args[0])}"
    if origin is dict or kind is Any:
        return "object"
    if kind is datetime:
        return "time"
    return kind.__name__ if dataclasses.is_dataclass(kind) else {"str": "text", "int": "whole number", "float": "number",
                                                                 "bool": "true or false"}[kind.__name__]  # fmt: skip


def _nested(contract: type[Any]) -> Iterator[type[Any]]:
    for hint in get_type_hints(contract).values():
        for one in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(one) and isinstance(one, type):
                yield one
                yield from _nested(one)


def _example(kind: Any, name: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _example(args[0], name)
    if origin is tuple:
        return (_example(args[0], name),)
    if origin is dict:
        return {"name": "orders", "datastore": "pgsql 15"} if name == "cluster" else {}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        made = {item.name: _example(hints[item.name], item.name) for item in dataclasses.fields(kind)}
        return kind(**made)
    if kind is datetime:
        return _MOMENT
    if kind is str:
        return WORDS.get(name, EXAMPLE_ID if name.endswith("id") else "...")
    return {int: {"port": 5432, "percent": 40, "ram_mb": 1024, "sequence": 7}.get(name, 1), float: 1.5, bool: False}[
        kind
    ]


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## {method.upper()} {path}\n"
    yield f"{operation['summary']}. {operation['description']}".strip() + "\n"
    rows = [
        (f"`{one['name']}`", one["in"], _kind(one["schema"]), one.get("description", ""))
        for one in operation["parameters"]
    ]
    if rows:
        yield from (*_table(("parameter", "in", "type", "meaning"), rows), "")
    if "requestBody" in operation:
        yield f"Body: {_content(operation['requestBody'])}.\n"
    for status, answer in operation["responses"].items():
        yield f"- **{status}** {answer.get('description', '')}{_answer(answer)}"
    yield ""


def _answer(answer: dict[str, Any]) -> str:
    words = _content(answer)
    return f": {words}" if words and "ProblemDetails" not in words else ""


def _content(described: dict[str, Any]) -> str:
    kinds = described.get("content", {})
    return ", ".join(_kind(one["schema"]) if media == "application/json" else media.partition(";")[0] if
                     media != "application/problem+json" else "ProblemDetails" for media, one in kinds.items())  # fmt: skip


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(_kind(one) for one in several)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{words} ({schema['format']})" if "format" in schema else words


if __name__ == "__main__":
    sys.exit(main())

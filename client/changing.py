"""A change of a cluster that takes time: shown before, asked for, waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from client import names
from client.http import Api
from client.plans import ask_plan
from client.terminal import err, show
from client.watching import follow


@dataclass(frozen=True)
class Wish:
    """A change of a cluster: the request, its path after the cluster's, and what is asked first; empty: nothing is."""

    cluster: dict[str, Any]
    method: str
    path: str
    body: dict[str, Any] | None = None
    question: str = ""


def named(api: Api, instance: str | None) -> str | None:
    """The id of an instance that was named, if one was."""
    return names.instance(api, instance)["id"] if instance else None


def change(api: Api, wish: Wish, *, plan: bool, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Show what a wish would do, or ask for it, and wait for its end where that is wanted."""
    begun = begin(api, wish, plan=plan, as_json=as_json)
    if begun is not None:
        finish(api, wish.cluster, begun[1], wait=wait, timeout=timeout, as_json=as_json)


def begin(api: Api, wish: Wish, *, plan: bool, as_json: bool) -> tuple[Any, str] | None:
    """Ask for a wish; returns what was answered, and the operation. With `plan` only show what it would do: None."""
    path = f"/v1/clusters/{wish.cluster['id']}/{wish.path}"
    if plan:
        ask_plan(api, wish.method, path, wish.body, as_json=as_json)
        return None
    if wish.question:
        typer.confirm(wish.question, abort=True, err=True)
    return api.send(wish.method, path, wish.body)


def finish(api: Api, made: dict[str, Any], operation: str, *, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Wait for the end where that is wanted, and show the cluster."""
    if wait:
        try:
            follow(api, operation, timeout)
        except typer.Exit:
            if as_json:
                show(api.get(f"/v1/clusters/{made['id']}"), as_json)
            raise
        made = api.get(f"/v1/clusters/{made['id']}")
    end(made, operation, as_json, told=wait)


def end(shown: dict[str, Any], operation: str, as_json: bool, *, told: bool) -> None:
    """Show it, and where to look on unless all was told."""
    show(shown, as_json)
    if not told and not as_json:
        look_on(operation)


def look_on(operation: str) -> None:
    """Say how to see what becomes of an operation."""
    err().print(f"see how it goes: dtrove operation watch {operation}")

"""Shows what a change would do."""

from __future__ import annotations

from typing import Any

from rich.filesize import decimal

from client.http import Api
from client.terminal import out, print_json


def ask_plan(api: Api, method: str, path: str, body: Any = None, *, as_json: bool) -> None:
    """Ask what a request would do, in its place, and show that."""
    show_plan(api.send(method, path, body, plan="true")[0]["plan"], as_json)


def show_plan(plan: dict[str, Any], as_json: bool) -> None:
    """Print a plan: on each host the commands and files, what restarts, what leads elsewhere, what is lost."""
    if as_json:
        print_json(plan)
        return
    console = out()
    if within := plan.get("contents"):
        console.print(f"what comes in: {', '.join(within['databases'])}, {within['rows']} rows in {within['tables_total']} tables, "
                      f"{decimal(within['size_bytes'])}; where it fails, {within['undone']}", markup=False, soft_wrap=True)  # fmt: skip
        for name in within["there"]:
            console.print(f"in the way: {name}", style="red", markup=False, soft_wrap=True)
    for host in plan["hosts"]:
        console.print(f"on {host['host']}", style="bold", markup=False)
        for command in host["commands"]:
            text = command["command"].strip().replace("\n", "\n      ")
            console.print(f"  {command['title']}\n      {text}", markup=False, soft_wrap=True)
        for file in host["files"]:
            console.print(f"  {file['path']}\n{file['diff']}", markup=False, soft_wrap=True)
    for label, style in (("restarts", "yellow"), ("moves", "cyan"), ("lost", "red")):
        for one in plan.get(label, ()):
            console.print(f"{label}: {one}", style=style, markup=False, soft_wrap=True)

"""`dtrove check`: is everything well, and if not, what is to be done."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from client import installation
from client.arguments import Json
from client.exits import Exit
from client.http import Api, ApiError
from client.local import checks
from client.terminal import out, print_json

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}
WIDTH = 21
# The API asks everybody side by side, and gives up on each after three seconds.
ANSWER_SECONDS = 15.0


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(check)


def check(as_json: Json = False) -> None:
    """Look at every dependency and at everything that may be stuck, and say what to do. Needs an administrator's token.

    Ends with 0 where nothing has failed, with warnings or without; with 1 where something has; with 5 where the API
    does not answer. Where DTrove was installed here it also looks at what only this machine can see.
    """
    found, code = _from_api()
    if _is_here():
        found += [one.plain() for one in checks.look(installation.home(), installation.config_file())]
    worst = "failed" if any(one["status"] == "failed" for one in found) else (
        "warning" if any(one["status"] == "warning" for one in found) else "ok")  # fmt: skip
    if as_json:
        print_json({"status": worst, "checks": found})
    else:
        for one in found:
            _print(one)
    if code or worst == "failed":
        raise typer.Exit(code or Exit.FAILED)


def _from_api() -> tuple[list[dict[str, Any]], int]:
    """The API's own checks; where nobody answers, that alone, and the exit code that it means. Raises ApiError."""
    try:
        found = list(Api(tries=1, answer_seconds=ANSWER_SECONDS).get("/v1/check")["checks"])
    except ApiError as error:
        if error.exit_code != Exit.UNAVAILABLE:
            raise
        message, _, what_to_do = str(error).partition("\n")
        return [{"name": "api", "status": "failed", "message": message, "what_to_do": what_to_do}], Exit.UNAVAILABLE
    return found, 0


def _is_here() -> bool:
    """Whether the API in question is the one that `dtrove up` runs on this machine."""
    return not installation.settings().url and checks.is_local(installation.home())


def _print(one: dict[str, Any]) -> None:
    console = out()
    first, *more = one["message"].splitlines() or [""]
    line = Text.assemble((f"{one['status']:<9}", STYLES[one["status"]]), f"{one['name']:<{WIDTH}} {first}")
    console.print(line, soft_wrap=True)
    indent = " " * (9 + WIDTH + 1)
    for text in more:
        console.print(Text(indent + text), soft_wrap=True)
    if one["what_to_do"]:
        console.print(Text(f"{indent}→ {one['what_to_do']}"), soft_wrap=True)

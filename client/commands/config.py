"""`dtrove config`: what can be set, what is set, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from client import installation
from client.arguments import Json
from client.configuration import Configuration, Row
from client.exits import Exit
from client.terminal import err, out, print_json

INDENT = "    "


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command("config")(config)


def config(
    option: Annotated[
        str | None, typer.Argument(help="Only options whose name holds this.", metavar="[OPTION]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Each option: its value, where that comes from, its default, its meaning; secrets are masked.

    Ends with 78 where something is wrong, and says what.
    """
    configuration = Configuration(installation.home(), installation.config_file())
    rows = [row for row in configuration.rows() if (option or "").lower() in row.option.name.lower()]
    problems = configuration.problems()
    if as_json:
        print_json({"file": str(configuration.path), "problems": problems, "options": [_document(row) for row in rows]})
    else:
        err().print(f"from {configuration.path} and the environment", style="dim", markup=False)
        for row in rows:
            out().print(_paragraph(row))
    if problems and not as_json:
        err().print(f"{len(problems)} to mend before DTrove can start:", style="red")
        for problem in problems:
            err().print(f"  - {problem}", markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(Exit.CONFIGURATION)


def _document(row: Row) -> dict[str, object]:
    shown = {key: value for key, value in asdict(row.option).items() if key != "given"}
    return {**shown, "source": row.source, "read_by": row.read_by}


def _paragraph(row: Row) -> Text:
    option = row.option
    text = Text(option.name, style="bold")
    text.append(f" = {option.value}" if option.value else "  (empty)", style="not bold")
    text.append(f"  [{row.source}]", style="not bold dim")
    text.append(f"\n{INDENT}{option.meaning}", style="not bold")
    if row.source != "default" and option.default:
        text.append(f"\n{INDENT}default: {option.default}", style="not bold dim")
    for label, words, style in (("warning", option.warning, "yellow"), ("wrong", option.problem, "red")):
        if words:
            text.append(f"\n{INDENT}{label}: {words}", style=f"not bold {style}")
    return text

"""`dtrove demo`: from nothing to a database that answers."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from client.asking import ask
from client.commands.console import sign_in_link
from client.commands.local import prepare
from client.http import Api
from client.terminal import err
from client.watching import follow, seconds


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(demo)


def demo(
    datastore: Annotated[str, typer.Option(help="As in `pgsql 15`, `mysql 10.11`, `redis 7.0`.")] = "pgsql 15",
    size: Annotated[int, typer.Option(help="Number of nodes.")] = 1,
    flavor: Annotated[str | None, typer.Option(help="See `dtrove flavor list`.")] = None,
) -> None:
    """From nothing to a database that answers; leaves DTrove running.

    The last line, alone on standard output, is JSON: cluster, status, url (with its password), console (a link that signs in to
    the web console once, within ten minutes), seconds.
    """
    began = time.monotonic()
    supervisor = prepare()
    supervisor.up_detached(say=err().print)
    api = Api()
    name = _free_name(api, "demo-" + datastore.split()[0].lower())
    wish = {"name": name, "datastore": datastore, "size": size, "flavor": flavor}
    made, operation = api.send("POST", "/v1/clusters", wish)
    ended = follow(api, operation)
    cluster = api.get(f"/v1/clusters/{made['id']}")
    login = api.get(f"/v1/clusters/{made['id']}/credentials")
    link, _ = sign_in_link(api)
    _show(cluster, ended, ask(login["url"]), link)
    result = {"cluster": cluster["id"], "status": cluster["status"], "url": login["url"], "console": link,
              "seconds": round(time.monotonic() - began, 1)}  # fmt: skip
    typer.echo(json.dumps(result))


def _free_name(api: Api, stem: str) -> str:
    taken = {one["name"] for one in api.all("/v1/clusters", "clusters", limit=100)}
    return next(name for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))) if name not in taken)


def _show(cluster: dict[str, Any], operation: dict[str, Any], answer: str, link: str) -> None:
    steps = Table("step", "host", "seconds", box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    steps.columns[2].justify = "right"
    for step in operation["steps"]:
        steps.add_row(step["step"], Text(step["host"]), f"{seconds(step):.2f}")
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, value in (("cluster", cluster["name"]), ("datastore", cluster["datastore"]["name"]),
                         ("endpoint", cluster["endpoint"]["url"]), ("it answers", answer), ("web console", link)):  # fmt: skip
        facts.add_row(label, Text(str(value)))
    console = err()
    console.print(steps)
    console.print()
    console.print(facts)

"""The local installation: init, up, down, status, demo."""

from __future__ import annotations

import json
import socket
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import psycopg2
import typer
from rich.table import Table

from client import installation
from client.commands import out
from client.http import Api
from client.supervisor import Supervisor
from client.watching import explain, seconds, watch


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    for command in (init, up, down, status, demo):
        app.command()(command)


def init() -> None:
    """Make the installation's directory, keyring and first token; harmless when they exist."""
    for made in installation.init(installation.home()):
        typer.echo(f"made {made}")


def up(detach: Annotated[bool, typer.Option("--detach", "-d", help="in the background")] = False) -> None:
    """Start RabbitMQ and the four services."""
    installation.init(installation.home())
    supervisor = _supervisor()
    if detach:
        supervisor.up_detached(say=typer.echo)
        typer.echo(f"DTrove answers at {supervisor.url}")
    else:
        supervisor.up()


def down(purge: Annotated[bool, typer.Option(help="also remove every host and file that was made")] = False) -> None:
    """Stop everything."""
    _supervisor().down(purge=purge, say=typer.echo)


def status() -> None:
    """Each process and whether it runs."""
    table = Table("process", "pid", "log", box=None)
    for state in _supervisor().status():
        table.add_row(state.name, str(state.pid or "-"), str(state.log))
    out.print(table)
    ready, missing = _supervisor().ready()
    typer.echo("ready" if ready else f"not ready: {missing}")


def demo(
    datastore: Annotated[str, typer.Option(help="as in `pgsql 15`, `mysql 10.11`, `redis 7.0`")] = "pgsql 15",
    size: int = 1,
    flavor: str = "small",
) -> None:
    """From nothing to a database that answers; leaves DTrove running."""
    began = time.monotonic()
    installation.init(installation.home())
    supervisor = _supervisor()
    supervisor.up_detached(say=typer.echo)
    api = Api()
    name = _free_name(api, "demo-" + datastore.split()[0].lower())
    made, operation = api.send(
        "POST", "/v1/clusters", {"name": name, "datastore": datastore, "size": size, "flavor": flavor}
    )
    ended = watch(api, operation, out)
    if ended["status"] != "succeeded":
        explain(ended, out)
        raise typer.Exit(1)
    cluster = api.get(f"/v1/clusters/{made['id']}")
    login = api.get(f"/v1/clusters/{made['id']}/credentials")
    answer = ask(login["url"])
    _show(cluster, ended, answer)
    result = {"cluster": cluster["id"], "status": cluster["status"], "url": login["url"],
              "seconds": round(time.monotonic() - began, 1)}  # fmt: skip
    typer.echo(json.dumps(result))


def ask(url: str) -> str:
    """Ask a database one question from this machine, over its own port; returns its answer."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    if parts.scheme == "postgresql":
        connection = psycopg2.connect(url, connect_timeout=10)
        try:
            with connection.cursor() as cursor:
                cursor.execute("select version()")
                return str(cursor.fetchone()[0])
        finally:
            connection.close()
    with socket.create_connection((host, port), timeout=10) as line:
        line.settimeout(10)
        if parts.scheme == "redis":
            line.sendall(f"AUTH {parts.username} {parts.password}\r\nPING\r\n".encode())
            text = ""
            while text.count("\r\n") < 2:
                text += line.recv(1024).decode()
            return text.replace("\r\n", " ").strip()
        # MySQL greets first: a length, a sequence number, protocol 10, and the version up to a zero byte.
        return line.recv(1024)[5:].split(b"\0", 1)[0].decode()


def _free_name(api: Api, stem: str) -> str:
    taken = {one["name"] for one in api.all("/v1/clusters", "clusters", limit=100)}
    return next(name for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))) if name not in taken)


def _show(cluster: dict[str, Any], operation: dict[str, Any], answer: str) -> None:
    table = Table("step", "host", "seconds", box=None, header_style="bold")
    for step in operation["steps"]:
        table.add_row(step["step"], step["host"], f"{seconds(step):.2f}")
    out.print(table)
    facts = Table(box=None, show_header=False)
    for label, value in (("cluster", cluster["name"]), ("datastore", cluster["datastore"]["name"]),
                         ("endpoint", cluster["endpoint"]["url"]), ("it answers", answer)):  # fmt: skip
        facts.add_row(label, str(value))
    out.print(facts)


def _supervisor() -> Supervisor:
    return Supervisor(installation.home(), installation.config_file())

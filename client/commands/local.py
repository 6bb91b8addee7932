"""The local installation: init, up, down, status."""

from __future__ import annotations

from typing import Annotated

import typer

from client import installation
from client.arguments import Json
from client.configuration import Configuration
from client.exits import Exit
from client.supervisor import Supervisor
from client.terminal import Column, err, print_json, show_list
from shared.config import ConfigInvalid

COLUMNS = (Column("process"), Column("pid"), Column("log"))


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    for command in (init, up, down, status):
        app.command()(command)


def init(as_json: Json = False) -> None:
    """Make the installation's directory, keyring and first token; harmless when they exist."""
    made = installation.init(installation.home())
    if as_json:
        print_json({"home": str(installation.home()), "made": made})
        return
    for one in made:
        typer.echo(f"made {one}")


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="In the background.")] = False, as_json: Json = False
) -> None:
    """Start RabbitMQ and the four services; each is started again when it dies."""
    supervisor = prepare()
    if detach:
        supervisor.up_detached(say=err().print)
        print_json({"url": supervisor.url}) if as_json else typer.echo(f"DTrove answers at {supervisor.url}")
    else:
        supervisor.up()


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove every host and file that was made.")] = False,
) -> None:
    """Stop everything."""
    _supervisor().down(purge=purge, say=err().print)


def status(as_json: Json = False) -> None:
    """Each process and whether it runs. Ends with 5 where DTrove is not ready."""
    supervisor = _supervisor()
    ready, missing = supervisor.ready()
    states = [{"process": one.name, "pid": one.pid, "log": str(one.log)} for one in supervisor.status()]
    if as_json:
        print_json({"ready": ready, "missing": missing, "url": supervisor.url, "processes": states})
    else:
        show_list([one | {"pid": one["pid"] or "-"} for one in states], as_json, COLUMNS, "nothing")
        typer.echo(f"ready at {supervisor.url}" if ready else f"not ready: {missing}")
    if not ready:
        raise typer.Exit(Exit.UNAVAILABLE)


def prepare() -> Supervisor:
    """What starts the installation, once its first files are made. Raises ConfigInvalid with all that is wrong."""
    installation.init(installation.home())
    if problems := Configuration(installation.home(), installation.config_file()).problems():
        raise ConfigInvalid(problems)
    return _supervisor()


def _supervisor() -> Supervisor:
    return Supervisor(installation.home(), installation.config_file())

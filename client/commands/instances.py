"""`dtrove instance`: look at instances, run commands on them, log in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import completion, logs, names
from client.arguments import InstanceName, Json
from client.exits import Exit
from client.http import Api
from client.ssh import DEFAULT_MINUTES, MAX_MINUTES, Access, remote_command, run_ssh
from client.terminal import Column, err, print_json, show, show_list
from client.watching import changes, explain

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("name", cut=True), Column("status"), Column("addr"), Column("message", cut=True))
OVERLAP = 1024


@app.command("list")
def list_instances(
    cluster: Annotated[
        str | None,
        typer.Argument(
            help="Name or id of a cluster; none: all.", metavar="[CLUSTER]", autocompletion=completion.clusters
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The instances of a cluster, or of all."""
    api = Api()
    owners = [names.cluster(api, cluster)] if cluster else api.all("/v1/clusters", "clusters", limit=100)
    found = [one for owner in owners for one in api.get(f"/v1/clusters/{owner['id']}/instances")["instances"]]
    show_list(found, as_json, COLUMNS, "there are no instances")


@app.command("show")
def show_instance(instance: InstanceName, as_json: Json = False) -> None:
    """One instance."""
    show(names.instance(Api(), instance), as_json)


@app.command()
def perform(
    instance: InstanceName,
    commands: Annotated[
        list[str], typer.Argument(help="Shell lines, each in quotes, run in this order as root.", metavar="COMMAND...")
    ],
    name: Annotated[str, typer.Option(help="What the transcript calls it.")] = "by hand",
    as_json: Json = False,
) -> None:
    """Run commands on an instance, and print what they print as it comes. Needs an administrator's token.

    All of them run, whatever they end with; the command ends with 1 where one ended with another code than 0.
    """
    api = Api()
    found = names.instance(api, instance)
    _, operation = api.send("POST", f"/v1/instances/{found['id']}/perform", {"name": name, "commands": commands})
    ended = _stream(api, operation, quiet=as_json)
    if as_json:
        print_json(ended)
    if ended["status"] != "succeeded":
        explain(ended)
        raise typer.Exit(Exit.FAILED)
    bad = [one for one in ended["result"]["results"] if one["exit_code"] != 0]
    for one in bad:
        err().print(f"`{one['command']}` ended with {one['exit_code']}", style="red", markup=False, soft_wrap=True)
    if bad:
        raise typer.Exit(Exit.FAILED)


@app.command("logs")
def show_logs(
    instance: InstanceName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.", min=0, max=2000)] = 200,
    as_json: Json = False,
) -> None:
    """The database's own log on an instance. What became of the file meanwhile is told on standard error."""
    api = Api()
    found = names.instance(api, instance)
    if not follow:
        logs.show(api.get(f"/v1/instances/{found['id']}/logs", lines=lines), as_json=as_json)
        return
    try:
        logs.follow(api, found["id"], lines, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _stream(api: Api, operation: str, *, quiet: bool) -> dict[str, Any]:
    before, ended = "", {}
    try:
        for ended in changes(api, operation):
            if not quiet:
                typer.echo(fresh(before, ended["output"]), nl=False)
                before = ended["output"]
    except KeyboardInterrupt:
        err().print(f"stopped watching; the commands go on. Come back with `dtrove operation watch {operation}`")
        raise typer.Exit(Exit.INTERRUPTED) from None
    return ended


def fresh(before: str, now: str) -> str:
    """What is new in `now`, of which the API drops the beginning once it is long."""
    if now.startswith(before):
        return now[len(before) :]
    tail = before[-OVERLAP:]
    found = now.rfind(tail)
    return now if found < 0 else now[found + len(tail) :]


@app.command(context_settings={"ignore_unknown_options": True})
def ssh(
    instance: InstanceName,
    command: Annotated[
        list[str] | None, typer.Argument(help="A command to run in place of a shell.", metavar="[-- COMMAND...]")
    ] = None,
    minutes: Annotated[
        int, typer.Option(help="How long the way in stays open; a session goes on.", min=1, max=MAX_MINUTES)
    ] = DEFAULT_MINUTES,
) -> None:
    """Log in to an instance, with a key made for this once. Needs an administrator's token; it is written down.

    The command's exit code is that of `ssh`: of the remote command, or 255.
    """
    api = Api()
    found = names.instance(api, instance)
    with Access(api, found["id"], minutes) as way_in:
        code = run_ssh(way_in, remote_command(command or []))
    raise typer.Exit(code)

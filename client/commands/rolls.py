"""`dtrove cluster start`, `stop`, `restart` and `resize`: what all nodes of a cluster are to do."""

from __future__ import annotations

from typing import Annotated

import typer

from client import completion, names
from client.arguments import ClusterName, Json, Plan, Timeout, Wait, Yes
from client.changing import Wish, change, named
from client.http import Api

Instance = Annotated[
    str | None,
    typer.Option("--instance", help="Only this one, where it is, by name or id.", autocompletion=completion.instances),
]


def start(
    cluster: ClusterName, wait: Wait = False, timeout: Timeout = None, plan: Plan = False, as_json: Json = False
) -> None:
    """Start a cluster that is stopped, its primary first."""
    api = Api()
    wish = Wish(names.cluster(api, cluster), "POST", "start")
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def stop(
    cluster: ClusterName,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Stop all databases of a cluster; its servers run on, and nothing starts it again but `dtrove cluster start`."""
    api = Api()
    found = names.cluster(api, cluster)
    question = "" if yes else f"Stop {found['name']}, which then serves nobody?"
    wish = Wish(found, "POST", "stop", question=question)
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def restart(
    cluster: ClusterName,
    instance: Instance = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Restart a cluster node after node; of several, a replica takes over before the primary's turn."""
    api = Api()
    wish = Wish(names.cluster(api, cluster), "POST", "restart", {"instance": named(api, instance)})
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def resize(
    cluster: ClusterName,
    flavor: Annotated[
        str | None,
        typer.Option(help="Of which flavor its servers are to be, by id or name.", autocompletion=completion.flavors),
    ] = None,
    volume_gb: Annotated[
        int | None, typer.Option(help="How large each node's own volume is to be, in GB; never less than it is.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Have larger volumes while a cluster serves, and servers of another flavor, one node after the other."""
    api = Api()
    wish = Wish(names.cluster(api, cluster), "POST", "resize", {"flavor": flavor, "volume_gb": volume_gb})
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands to those of clusters."""
    for command in (start, stop, restart, resize):
        app.command()(command)

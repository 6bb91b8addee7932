"""`dtrove cluster parameters`: what databases run with, and how that is changed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import names
from client.arguments import ClusterName, Json, Plan, Timeout, Wait
from client.changing import Wish, begin, look_on
from client.http import Api
from client.terminal import Column, age, err, print_json, show_list
from client.watching import follow

VALUES = (
    Column("name"),
    Column("value"),
    Column("source"),
    Column("live"),
    Column("state"),
    Column("default", cut=True),
)
VERSIONS = (Column("version"), Column("state"), Column("ago"), Column("group"), Column("changes", cut=True),
            Column("author", cut=True))  # fmt: skip
DEFINITIONS = (Column("name"), Column("type"), Column("default", cut=True), Column("unit"), Column("minimum"),
               Column("maximum"), Column("applies"), Column("refused", cut=True))  # fmt: skip
Chosen = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="NAME=VALUE of what its database is to run with; may be given several times."),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE; may be given several times.")]
Unset = Annotated[
    list[str] | None, typer.Option(help="Back to its default; may be given several times.", metavar="NAME")
]  # fmt: skip
Restart = Annotated[
    str | None,
    typer.Option(help="`now`: restart the databases for what they read only as they start, node by node.", metavar="now"),
]  # fmt: skip


def register(clusters: typer.Typer, datastores: typer.Typer) -> None:
    """Add the commands to their groups."""
    clusters.command("parameters")(parameters)
    clusters.command("parameters-history")(history)
    clusters.command("parameters-rollback")(rollback)
    clusters.command("parameters-apply")(apply)
    datastores.command("parameters")(definitions)


def parameters(
    cluster: ClusterName,
    set_: Set = None,
    unset: Unset = None,
    group: Annotated[
        str | None, typer.Option(help="Give it this parameter group, by name or id; its own go before the group's.")
    ] = None,
    no_group: Annotated[bool, typer.Option("--no-group", help="Take its parameter group from it.")] = False,
    restart: Restart = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """What was set of a cluster's parameters, and with what its nodes run; or change that."""
    api = Api()
    found = names.cluster(api, cluster)
    changes: dict[str, str | None] = {**pairs(set_ or []), **dict.fromkeys(unset or [])}
    attached = {"parameter_group": group} if group or no_group else {}
    if group and no_group:
        raise typer.BadParameter("--group and --no-group are two wishes")
    if not changes and not restart and not attached:
        _show(api.get(f"/v1/clusters/{found['id']}/parameters"), as_json)
        return
    wish = Wish(found, "PATCH", f"parameters{_query(restart)}", {"parameters": changes, **attached})
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def history(cluster: ClusterName, as_json: Json = False) -> None:
    """What was ever set of a cluster's parameters, the latest first."""
    api = Api()
    found = api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/parameters/history")["versions"]
    shown = found if as_json else [
        one | {"ago": age(one["at"]), "changes": _changes(one), "group": _group(one["group"])} for one in found
    ]  # fmt: skip
    show_list(shown, as_json, VERSIONS, "nothing was ever set")


def rollback(
    cluster: ClusterName,
    version: Annotated[int, typer.Argument(help="As the history has it; 0: nothing set.", metavar="VERSION")],
    restart: Restart = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Set what an earlier version had."""
    api = Api()
    wish = Wish(names.cluster(api, cluster), "POST", f"parameters/rollback{_query(restart)}", {"version": version})
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def apply(
    cluster: ClusterName,
    restart: Restart = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Bring a cluster that is out of date to its parameter group as it is now."""
    wish = Wish(names.cluster(Api(), cluster), "POST", f"parameters/apply{_query(restart)}", {})
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def definitions(
    datastore: Annotated[
        str, typer.Argument(help="Id, or as in `mysql 10.11`; `mysql` where there is one version.", metavar="DATASTORE")
    ],
    as_json: Json = False,
) -> None:
    """What parameters a datastore has, as a running engine of it says."""
    api = Api()
    found = api.get(f"/v1/datastores/{names.datastore(api, datastore)['id']}/parameters")
    if as_json:
        print_json(found)
        return
    show_list(found["parameters"], as_json, DEFINITIONS, "it has none")


def pairs(given: list[str]) -> dict[str, str]:
    """NAME=VALUE as a mapping. Raises BadParameter."""
    for one in given:
        if "=" not in one:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE")
    return dict(one.split("=", 1) for one in given)


def _change(wish: Wish, *, plan: bool, wait: bool, timeout: float | None, as_json: bool) -> None:
    api = Api()
    begun = begin(api, wish, plan=plan, as_json=as_json)
    if begun is None:
        return
    if wait:
        follow(api, begun[1], timeout)
    _show(api.get(f"/v1/clusters/{wish.cluster['id']}/parameters"), as_json)
    if not wait and not as_json:
        look_on(begun[1])


def _query(restart: str | None) -> str:
    return f"?restart={restart}" if restart else ""


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    show_list(found["parameters"], as_json, VALUES, "nothing is set: see `dtrove datastore parameters` for what may be")
    if found["group"]:
        err().print(f"parameter group: {_group(found['group'])}")
    if found["group"] and found["group"]["out_of_date"]:
        words = f"the group is at version {found['group']['newest']}: `dtrove cluster parameters-apply`"
        err().print(words, style="yellow")
    if found["pending_restart"]:
        err().print("some wait for a restart: `dtrove cluster restart`, or `--restart now`", style="yellow")


def _group(taken: dict[str, Any] | None) -> str:
    return f"{taken['name']} (version {taken['version']})" if taken else ""


def _changes(version: dict[str, Any]) -> str:
    return ", ".join(f"{one['name']}: {one['before']} -> {one['after']}" for one in version["changes"])

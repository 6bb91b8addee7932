"""`dtrove database`, `dtrove user` and `dtrove cluster root`: what a cluster has, and who may what with it.

A password never stands among a command's arguments: it is made, read from standard input, or asked for.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from client import names
from client.arguments import ClusterName, Json, Plan, Timeout, Wait, Yes
from client.changing import Wish, begin, look_on
from client.http import Api
from client.terminal import Column, err, print_json, show, show_list
from client.watching import follow

databases, users, root = (typer.Typer(no_args_is_help=True) for _ in range(3))
DATABASES = (Column("name", cut=True), Column("character set", "character_set"), Column("collate"))
USERS = (Column("name", cut=True), Column("host"), Column("may", cut=True))
DatabaseName = Annotated[str, typer.Argument(help="Name of the database.", metavar="DATABASE")]
UserName = Annotated[str, typer.Argument(help="Name of the user.", metavar="USER")]
Host = Annotated[
    str | None, typer.Option(help="Of MariaDB: from where the user comes, as in 10.0.0.%; else from anywhere.")
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask the server first, for what was made by hand.")]
Patterns = Annotated[list[str] | None, typer.Option("--pattern", help="Of Redis: keys like this, as in shop:*.")]
Privilege = Annotated[str, typer.Option(help="read, write or all.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input; else one is made and shown.")
]
Ask = Annotated[bool, typer.Option("--ask-password", help="Ask for the password.")]


@databases.command("list")
def list_databases(cluster: ClusterName, refresh: Refresh = False, as_json: Json = False) -> None:
    """A cluster's databases, when its server was asked last."""
    _list(cluster, "databases", DATABASES, refresh=refresh, as_json=as_json)


@databases.command("create")
def create_database(
    cluster: ClusterName,
    database: DatabaseName,
    character_set: Annotated[str, typer.Option(help="As in utf8mb4 or UTF8.")] = "",
    collate: Annotated[str, typer.Option(help="As in utf8mb4_bin or C.UTF-8.")] = "",
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Create a database."""
    body = {"name": database, "character_set": character_set, "collate": collate}
    body = {name: value for name, value in body.items() if value}
    _change(Wish(_at(cluster), "POST", "databases", body), plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@databases.command("delete")
def delete_database(
    cluster: ClusterName,
    database: DatabaseName,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Delete a database with all its data, whoever is connected to it."""
    question = "" if yes else f"Delete database {database} with all its data?"
    wish = Wish(_at(cluster), "DELETE", f"databases/{_in_path(database)}", question=question)
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@users.command("list")
def list_users(cluster: ClusterName, refresh: Refresh = False, as_json: Json = False) -> None:
    """A cluster's users and what they may, when its server was asked last."""
    _list(cluster, "users", USERS, refresh=refresh, as_json=as_json)


@users.command("create")
def create_user(
    cluster: ClusterName,
    user: UserName,
    database: Annotated[
        list[str] | None,
        typer.Option(help="A database that the user may use, as in shop or shop:read; may be given more than once."),
    ] = None,
    host: Host = None,
    privilege: Annotated[str | None, typer.Option(help="Of Redis: read, write or all.")] = None,
    pattern: Patterns = None,
    from_input: FromInput = False,
    ask: Ask = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Create a user. A password that is made is shown this once."""
    body = {"name": user, "databases": [_granted(one) for one in database or []], "host": host, "privilege": privilege,
            "patterns": pattern or None, "password": None if plan else _password(from_input, ask)}  # fmt: skip
    _change(Wish(_at(cluster), "POST", "users", body), plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@users.command("delete")
def delete_user(
    cluster: ClusterName,
    user: UserName,
    host: Host = None,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Delete a user and end its sessions; what it owns goes to the administrator."""
    question = "" if yes else f"Delete user {user}, and end its sessions?"
    wish = Wish(_at(cluster), "DELETE", f"users/{_in_path(user)}{_query(host=host)}", question=question)
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@users.command("password")
def change_password(
    cluster: ClusterName,
    user: UserName,
    host: Host = None,
    from_input: FromInput = False,
    ask: Ask = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Change a user's password. One that is made is shown this once."""
    body = {"password": None if plan else _password(from_input, ask)}
    wish = Wish(_at(cluster), "POST", f"users/{_in_path(user)}/password{_query(host=host)}", body)
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@users.command("grant")
def grant(
    cluster: ClusterName,
    user: UserName,
    database: Annotated[str | None, typer.Argument(help="Name of the database; Redis has none.")] = None,
    privilege: Privilege = "all",
    pattern: Patterns = None,
    host: Host = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Let a user read, write or do all with a database, in place of what it might do before."""
    body = {"database": database, "privilege": privilege, "patterns": pattern or None}
    wish = Wish(_at(cluster), "POST", f"users/{_in_path(user)}/grants{_query(host=host)}", body)
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@users.command("revoke")
def revoke(
    cluster: ClusterName,
    user: UserName,
    database: Annotated[str | None, typer.Argument(help="Name of the database; Redis has none.")] = None,
    host: Host = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Shut a user out of a database; its login stays."""
    query = _query(host=host, database=database)
    wish = Wish(_at(cluster), "DELETE", f"users/{_in_path(user)}/grants{query}")
    _change(wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@root.command("show")
def show_root(cluster: ClusterName, as_json: Json = False) -> None:
    """Whether the superuser may log in over the network, and since when."""
    api = Api()
    show(api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/root"), as_json)


@root.command("enable")
def enable_root(
    cluster: ClusterName, wait: Wait = False, timeout: Timeout = None, plan: Plan = False, as_json: Json = False
) -> None:
    """Let the superuser log in, with a password that is made and shown this once."""
    _change(Wish(_at(cluster), "POST", "root"), plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@root.command("disable")
def disable_root(
    cluster: ClusterName, wait: Wait = False, timeout: Timeout = None, plan: Plan = False, as_json: Json = False
) -> None:
    """Let the superuser log in no more, and end its sessions."""
    _change(Wish(_at(cluster), "DELETE", "root"), plan=plan, wait=wait, timeout=timeout, as_json=as_json)


def _list(cluster: str, noun: str, columns: tuple[Column, ...], *, refresh: bool, as_json: bool) -> None:
    api = Api()
    path = f"/v1/clusters/{names.cluster(api, cluster)['id']}"
    if refresh:
        follow(api, api.send("POST", f"{path}/accounts")[1])
    found = api.get(f"{path}/{noun}")
    shown = found[noun] if as_json else [one | {"may": _may(one.get("grants", []))} for one in found[noun]]
    if found["seen_at"] is None and not as_json:
        err().print("the server was not asked yet: see what it has with --refresh")
    show_list(shown, as_json, columns, f"there are no {noun}")


def _may(grants: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['privilege']} {one['database'] or ' '.join(one['patterns'])}".strip() for one in grants)


def _change(wish: Wish, *, plan: bool, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Show what it would do, or ask for it; the password that was made is shown before anything is waited for."""
    api = Api()
    answered = begin(api, wish, plan=plan, as_json=as_json)
    if answered is None:
        return
    begun, operation = answered
    told = {"operation": operation, "username": begun["username"], "password": begun["password"]}
    if as_json:
        print_json(told)
    elif begun["password"]:
        show({"username": begun["username"], "password": begun["password"]}, as_json)
    if wait:
        follow(api, operation, timeout)
    elif not as_json:
        look_on(operation)


def _password(from_input: bool, ask: bool) -> str | None:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)) if ask else None


def _granted(text: str) -> dict[str, str]:
    """`shop` or `shop:read`."""
    name, _, privilege = text.rpartition(":")
    if name and privilege in ("read", "write", "all"):
        return {"name": name, "privilege": privilege}
    return {"name": text, "privilege": "all"}


def _at(cluster: str) -> dict[str, Any]:
    return names.cluster(Api(), cluster)


def _in_path(name: str) -> str:
    return quote(name, safe="")


def _query(**values: str | None) -> str:
    given = "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value)
    return f"?{given}" if given else ""

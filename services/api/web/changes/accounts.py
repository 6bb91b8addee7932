"""Databases, users, what they may, and the superuser.

Passwords are made by DTrove and shown once: none is ever typed into a form, nor stands in an address.
"""

from __future__ import annotations

from typing import Any

from services.api.web.asking import Asking
from services.api.web.changes.base import Call, Cluster, Field, Given, Kind, segment, what_is_in

BACK = "accounts"
WITH_DATABASES, WITH_HOSTS, WITH_KEYS = ("mysql", "pgsql"), ("mysql",), ("redis",)


def _databases(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    listed = asking.get(f"/v1/clusters/{cluster['id']}/databases")["databases"]
    return [(one["name"], one["name"]) for one in listed]


def _none_or_databases(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    return [("", "none for now"), *_databases(asking, cluster)]


def _privileges(_asking: Asking, _cluster: Cluster) -> list[tuple[str, str]]:
    return [("all", "all: also make and drop tables"), ("write", "write: read and change rows"), ("read", "read")]


_USER = Field("user", "User", fixed=True)
_HOST = Field("host", "From", fixed=True, engines=WITH_HOSTS)
_NAME = Field("name", "Name", "As the engine allows it, without a slash.")
_PRIVILEGE = Field("privilege", "What it may", choices=_privileges, default="all")
_PATTERNS = Field(
    "patterns", "Keys", "Patterns with blanks between, as in `shop:* cart:*`. Empty: all keys.", engines=WITH_KEYS
)


def _create_database(given: Given) -> Call:
    said = {name: given[name].strip() for name in ("name", "character_set", "collate")}
    return Call("POST", "databases", {name: value for name, value in said.items() if value})


def _delete_database(given: Given) -> Call:
    return Call("DELETE", f"databases/{segment(given['database'])}")


def _create_user(given: Given) -> Call:
    wish: dict[str, Any] = {"name": given["name"].strip()}
    if host := given.get("host", "").strip():
        wish["host"] = host
    if database := given.get("database"):
        wish["databases"] = [{"name": database, "privilege": given["privilege"]}]
    return Call("POST", "users", wish)


def _create_key_user(given: Given) -> Call:
    return Call("POST", "users", {"name": given["name"].strip(), "privilege": given["privilege"],
                                  "patterns": given["patterns"].split() or None})  # fmt: skip


def _create(given: Given) -> Call:
    return _create_key_user(given) if "patterns" in given else _create_user(given)


def _of_user(method: str, given: Given, rest: str = "", body: Any = None, **query: str) -> Call:
    """A call about a user; where an engine tells several of one name apart, it says which."""
    return Call(method, f"users/{segment(given['user'])}{rest}", body, {"host": given.get("host", ""), **query})


def _grant(given: Given) -> Call:
    if "patterns" in given:
        wish: dict[str, Any] = {"privilege": given["privilege"], "patterns": given["patterns"].split() or None}
    else:
        wish = {"privilege": given["privilege"], "database": given.get("database")}
    return _of_user("POST", given, "/grants", wish)


KINDS = {
    "look": Kind("Ask {cluster} what it has", "Ask it", "Databases and users that were made by hand are listed from then on.",
                 lambda _: Call("POST", "accounts", {}), back=BACK),
    "create-database": Kind(
        "Create a database in {cluster}", "Create it", "Nobody but the administrator may do anything with it until it is granted.", _create_database,
        (
            _NAME,
            Field("character_set", "Character set", "As in utf8mb4 or UTF8. Empty: the engine’s own choice, which is hard to change later."),
            Field("collate", "Collation", "How texts are sorted and compared. Empty: the engine’s own choice."),
        ), back=BACK,
    ),
    "delete-database": Kind(
        "Delete the database {database}", "Delete the database", "It goes with all its data, whoever is connected to it. Backups stay.",
        _delete_database, (Field("database", "Database", fixed=True),), named=what_is_in("database"), back=BACK,
    ),
    "create-user": Kind(
        "Create a user in {cluster}", "Create it", "A password is made for it, and shown once, right after.", _create,
        (
            _NAME,
            Field("host", "From where", "An address, a name, or a pattern with `%`. Empty: from anywhere.", engines=WITH_HOSTS),
            Field("database", "Database", "More can be granted later.", _none_or_databases, engines=WITH_DATABASES),
            _PRIVILEGE, _PATTERNS,
        ), back=BACK,
    ),
    "delete-user": Kind(
        "Delete the user {user}", "Delete the user", "Its sessions end, and what it owns goes to the administrator.",
        lambda given: _of_user("DELETE", given), (_USER, _HOST), named=what_is_in("user"), back=BACK,
    ),
    "change-password": Kind(
        "Another password for {user}", "Change it", "One is made, and shown once, right after. Programs that have the old one are not let in "
        "any more.", lambda given: _of_user("POST", given, "/password", {}), (_USER, _HOST), back=BACK,
    ),
    "grant": Kind(
        "Let {user} do more", "Grant it", "It takes the place of what the user may with the same database.", _grant,
        (_USER, _HOST, Field("database", "Database", "One that is there.", _databases, engines=WITH_DATABASES), _PRIVILEGE, _PATTERNS), back=BACK,
    ),
    "revoke": Kind(
        "Let {user} do less", "Revoke it", "Programs that come as this user are refused from then on.",
        lambda given: _of_user("DELETE", given, "/grants", database=given.get("database", "")),
        (_USER, _HOST, Field("database", "Database", fixed=True, engines=WITH_DATABASES)), back=BACK,
    ),
    "enable-root": Kind(
        "Let the superuser of {cluster} log in", "Enable it", "Over the network, with a password that is made and shown once. It may do "
        "everything, also what DTrove relies on nobody doing.", lambda _: Call("POST", "root", {}), back=BACK,
    ),
    "disable-root": Kind("Keep the superuser of {cluster} out", "Disable it", "It can log in over the network no more, and its sessions end.",
                         lambda _: Call("DELETE", "root"), back=BACK),
}  # fmt: skip

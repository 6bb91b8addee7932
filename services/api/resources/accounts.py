"""Databases, users and the superuser of a cluster, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falcon import Request, Response
from sqlalchemy import Connection

from services.api.actions import accounts, clusters
from services.api.actions.desk import Desk, Wish, user_of
from services.api.http import Context
from services.api.idempotency import Answer
from services.api.schemas import Empty, plans, queries
from services.api.schemas import accounts as schemas
from services.api.serving import serves
from services.api.store import views
from services.api.wishes import accepted, plan_or_begin
from shared.contracts.accounts import Accounts, AccountUser
from shared.db import Tx

CHANGES: dict[str, Any] = {"role": "member", "gives": schemas.AccountsChange, "status": 202, "also": {200: plans.Plan},
                           "conflicts": True}  # fmt: skip


class _Resource:
    """What the resources here have in common: lists are told from what was seen last, changes are operations."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def _change(self, request: Request, response: Response, cluster_id: str, make: Callable[[Desk], Wish]) -> None:
        project_id = request.context.caller.project_id

        def spec(connection: Connection) -> Any:
            row = clusters.get(connection, project_id, cluster_id)
            return accounts.plan_of(row, make(accounts.desk(connection, row, self._context.seal)))

        def begin(tx: Tx) -> Answer:
            row = clusters.lock(tx, project_id, cluster_id)
            wish = make(accounts.desk(tx.connection, row, self._context.seal))
            return accepted(tx, project_id, accounts.request(tx, row, wish), wish.shown)

        plan_or_begin(self._context, request, response, "plan_accounts", spec, begin)

    def _seen(self, request: Request, cluster_id: str) -> tuple[Accounts, dict[str, Any], dict[str, Any]]:
        """What was listed, when, and what is told of the superuser."""
        with self._context.database.read() as connection:
            row = clusters.get(connection, request.context.caller.project_id, cluster_id)
            dialect = accounts.dialect(connection, row)
            listed, at = accounts.seen(connection, cluster_id)
        when = views.stamp(at.seen_at) if at else None
        root = {"username": dialect.root, "enabled": listed.root, "since": views.stamp(at.root_since) if at else None,
                "seen_at": when}  # fmt: skip
        return listed, {"seen_at": when}, root


class ClusterAccounts(_Resource):
    """`/v1/clusters/{id}/accounts`."""

    @serves(gives=schemas.Accounts, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """Databases, users and the superuser, when the server was asked last."""
        listed, when, root = self._seen(request, cluster_id)
        databases = [vars(one) for one in listed.databases]
        response.media = {"databases": databases, "users": _users(listed), "root": root, **when}

    @serves(takes=Empty, query=queries.Plan, **CHANGES)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Ask the server anew, for what was made by hand; Redis's replicas are told what its primary has."""
        self._change(request, response, cluster_id, lambda _: Wish(accounts.LOOK, ()))


class Databases(_Resource):
    """`/v1/clusters/{id}/databases`, and each of them."""

    @serves(gives=schemas.Databases, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The databases, when the server was asked last."""
        listed, when, _ = self._seen(request, cluster_id)
        response.media = {"databases": [vars(one) for one in listed.databases], "next": None, **when}

    @serves(takes=schemas.DatabaseCreate, query=queries.Plan, **CHANGES)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Create one."""
        self._change(request, response, cluster_id, lambda desk: desk.create_database(request.context.asked))

    @serves(query=queries.Plan, **CHANGES)
    def on_delete_one(self, request: Request, response: Response, cluster_id: str, database: str) -> None:
        """Delete one with all its data, whoever is connected to it."""
        self._change(request, response, cluster_id, lambda desk: desk.delete_database(database))


class Users(_Resource):
    """`/v1/clusters/{id}/users`, and each of them."""

    @serves(gives=schemas.Users, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The users and what they may, when the server was asked last."""
        listed, when, _ = self._seen(request, cluster_id)
        response.media = {"users": _users(listed), "next": None, **when}

    @serves(takes=schemas.UserCreate, query=queries.Plan, **CHANGES)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Create one; a password that is not given is made, and shown in this answer alone."""
        self._change(request, response, cluster_id, lambda desk: desk.create_user(request.context.asked))

    @serves(query=schemas.UserOf, **CHANGES)
    def on_delete_one(self, request: Request, response: Response, cluster_id: str, user: str) -> None:
        """Delete one and end its sessions; what it owns goes to the administrator."""
        host = request.context.query["host"]
        self._change(request, response, cluster_id, lambda desk: desk.delete_user(user, host))

    @serves(takes=schemas.PasswordChange, query=schemas.UserOf, **CHANGES)
    def on_post_password(self, request: Request, response: Response, cluster_id: str, user: str) -> None:
        """Change a password; one that is not given is made, and shown in this answer alone."""
        host, asked = request.context.query["host"], request.context.asked
        self._change(request, response, cluster_id, lambda desk: desk.change_password(user, host, asked))


class Grants(_Resource):
    """`/v1/clusters/{id}/users/{name}/grants`."""

    @serves(query=schemas.UserOf, gives=schemas.Grants, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str, user: str) -> None:
        """What a user may, when the server was asked last."""
        listed, when, _ = self._seen(request, cluster_id)
        found = user_of(listed, user, request.context.query["host"])
        response.media = {"grants": _user(found)["grants"], "next": None, **when}

    @serves(takes=schemas.GrantCreate, query=schemas.UserOf, **CHANGES)
    def on_post(self, request: Request, response: Response, cluster_id: str, user: str) -> None:
        """Grant a privilege on a database, or with Redis on keys."""
        host, asked = request.context.query["host"], request.context.asked
        self._change(request, response, cluster_id, lambda desk: desk.grant(user, host, asked))

    @serves(query=schemas.GrantOf, **CHANGES)
    def on_delete(self, request: Request, response: Response, cluster_id: str, user: str) -> None:
        """Take the privilege on `?database=` away; with Redis all."""
        asked = request.context.query
        self._change(request, response, cluster_id, lambda desk: desk.revoke(user, asked["host"], asked["database"]))


class Root(_Resource):
    """`/v1/clusters/{id}/root`."""

    @serves(gives=schemas.Root, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """Whether the superuser may log in over the network, and since when."""
        response.media = self._seen(request, cluster_id)[2]

    @serves(takes=Empty, query=queries.Plan, **CHANGES)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Let it, with a password that is made and shown in this answer alone."""
        self._change(request, response, cluster_id, lambda desk: desk.enable_root())

    @serves(query=queries.Plan, **CHANGES)
    def on_delete(self, request: Request, response: Response, cluster_id: str) -> None:
        """Let it no more, and end its sessions."""
        self._change(request, response, cluster_id, lambda desk: desk.disable_root())


def _users(listed: Accounts) -> list[dict[str, Any]]:
    return [_user(one) for one in listed.users]


def _user(user: AccountUser) -> dict[str, Any]:
    grants = [{"database": one.database or None, "privilege": one.privilege, "patterns": list(one.patterns)}
              for one in user.grants]  # fmt: skip
    return {"name": user.name, "host": user.host or None, "grants": grants}

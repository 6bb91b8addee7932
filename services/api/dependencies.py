"""The API's composition root: the only module here that reads configuration."""

from __future__ import annotations

from functools import cache

import falcon
from nameko import config
from sqlalchemy import select

from services.api.actions.access import bootstrap
from services.api.app import make_app
from services.api.http import Context
from services.api.settings import Settings
from services.api.store import tables
from shared.bus import RpcCaller
from shared.config import read
from shared.db import Database, Sealed, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.errors import DtroveError
from shared.secrets import KeyringFile, keyring_path


@cache
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@cache
def keyring() -> KeyringFile:
    """The keys that seal secrets on the bus and at rest."""
    return KeyringFile(keyring_path(settings().keyring, settings().home))


@cache
def database() -> Database:
    """This service's database, brought up to date, with the first administrator in it."""
    Sealed.keyring = keyring()
    migrate.upgrade("api", settings().database_url)
    made = Database(settings().database_url, "api", tables.metadata)
    bootstrap(made, settings().bootstrap_token_hash)
    return made


def app() -> falcon.App[falcon.Request, falcon.Response]:
    """The WSGI application."""
    ring = keyring()
    return make_app(
        Context(
            database=database(), databases=RpcCaller("datastore_agentless"), provisioner=RpcCaller("provisioner"),
            unseal=lambda token: ring.open(token).reveal(), max_cluster_size=settings().max_cluster_size, ready=ready,
        )
    )  # fmt: skip


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_commit


def ready() -> dict[str, str]:
    """Each dependency's state: `ok`, or what is missing."""
    checks = {"database": "ok", "datastores": "ok", "flavors": "ok"}
    try:
        with database().read() as connection:
            for name, table in (("datastores", tables.datastores), ("flavors", tables.flavors)):
                if connection.execute(select(table.c.id).limit(1)).first() is None:
                    checks[name] = "not heard of yet"
    except DtroveError as error:
        return {"database": error.message}
    for name, method in (("datastore_agentless", "list_datastores"), ("provisioner", "flavors")):
        try:
            RpcCaller(name, timeout=3.0).call(method)
            checks[name] = "ok"
        except DtroveError as error:
            checks[name] = error.message
    return checks

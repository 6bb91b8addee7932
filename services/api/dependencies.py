"""The API's composition root: the only module here that reads configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import eventlet
from nameko import config

from services.api import idempotency
from services.api.actions import health, readings, sessions
from services.api.actions.access import bootstrap
from services.api.app import make_app, make_site
from services.api.changes import Changes
from services.api.http import Context
from services.api.observer import Ask, Observer
from services.api.readiness import Readiness
from services.api.settings import Settings
from services.api.store import tables
from shared.bus import Certificate, Door, RpcCaller, WsgiApp
from shared.bus.probe import broker_answers
from shared.config import read
from shared.contracts.base import dump
from shared.db import Database, Sealed, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.db.reseal import reseal
from shared.once import once
from shared.secrets import KeyringFile, keyring_path
from shared.state import StateOf

if TYPE_CHECKING:
    from services.api.identity.judge import KeystoneJudge

# A round trip over the bus to each of the others, by a question that costs them little.
OTHERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "datastore_agentless": ("list_datastores", ()),
    "provisioner": ("flavors", ()),
    "scheduler": ("schedules", ("",)),
}
PING_SECONDS = 3.0
T = TypeVar("T")


@once
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@once
def keyring() -> KeyringFile:
    """The keys that seal secrets on the bus and at rest."""
    return KeyringFile.opened(keyring_path(settings().keyring, settings().home))


@once
def database() -> Database:
    """This service's database, brought up to date, with the first administrator in it."""
    Sealed.keyring = keyring()
    migrate.upgrade("api", settings().database_url, migrate.FOR_EVER)
    made = Database(settings().database_url, "api", tables.metadata)
    bootstrap(made, settings().bootstrap_token_hash)
    return made


@once
def changes() -> Changes:
    """Who follows what in this process."""
    return Changes()


@once
def readiness() -> Readiness:
    """What has to answer before this service can work."""
    others = {name: RpcCaller(name, timeout=PING_SECONDS) for name in OTHERS}
    return Readiness(database(), {name: _asking(name, caller) for name, caller in others.items()}, _together)


@once
def state() -> StateOf:
    """What this service knows of itself."""
    return StateOf(database(), settings().home, keyring())


@once
def observer() -> Observer:
    """Who looks at the whole of DTrove."""
    callers = {name: RpcCaller(name, timeout=PING_SECONDS) for name in OTHERS}
    own: dict[str, Ask] = {"api": lambda operations: dump(state().state(operations))}
    others: dict[str, Ask] = {name: partial(caller.call, "state") for name, caller in callers.items()}
    return Observer(database(), own | others, broker_answers, _together, settings().stuck_seconds)


@once
def keystone() -> KeystoneJudge | None:
    """Who vouches for tokens that are not DTrove's own; None: nobody."""
    chosen = settings()
    if not chosen.keystone_url:
        return None
    from services.api.identity.judge import KeystoneJudge
    from services.api.identity.keystone import Keystone
    from services.api.identity.policy import Policy

    return KeystoneJudge(database(), Keystone(chosen.keystone_url, chosen.keystone_cacert), Policy(chosen.policy_file))


def app() -> WsgiApp:
    """The WSGI application: the API, and before it the console where that is wanted."""
    ring = keyring()
    context = Context(
        database=database(), databases=RpcCaller("datastore_agentless"), provisioner=RpcCaller("provisioner"),
        seal=ring.seal, unseal=lambda token: ring.open(token).reveal(), max_cluster_size=settings().max_cluster_size,
        reseal=lambda: reseal(database(), ring), ready=readiness().checks, changes=changes(), open_paths=settings().open_paths,
        observer=observer(), limits=settings().limits, keystone=keystone(), keystone_seconds=settings().keystone_seconds,
        metrics_token_hash=settings().metrics_token_hash, session_lasts=timedelta(minutes=settings().session_minutes),
    )  # fmt: skip
    return make_site(context) if settings().console else make_app(context)


def door() -> Door:
    """How the HTTP server lets in."""
    chosen = settings()
    certificate = Certificate(chosen.tls_cert_file, chosen.tls_key_file) if chosen.tls_cert_file else None
    return Door(
        certificate, chosen.max_connections, chosen.connections_per_address, chosen.request_seconds, chosen.proxies
    )


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_outbox


def forget_old() -> None:
    """Drop what nobody can ask for any more: old Idempotency-Keys, how nodes were a month ago, sessions that are over, what
    readers of logs have left behind, and events long since handled.
    """
    idempotency.forget_old(database())
    health.forget_old(database())
    readings.forget_old(database())
    sessions.forget_old(database())
    database().forget_old()


def _asking(name: str, caller: RpcCaller) -> Callable[[], object]:
    method, arguments = OTHERS[name]
    return lambda: caller.call(method, *arguments)


def _together(checks: Sequence[Callable[[], T]]) -> list[T]:
    """Run checks side by side, so that several which are away cost one timeout."""
    return list(eventlet.GreenPool().imap(lambda check: check(), checks))

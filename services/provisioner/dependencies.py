"""The provisioner's composition root: the only module here that reads configuration."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nameko import config

from services.provisioner.providers import get_provider
from services.provisioner.providers.base import BaseProvider
from services.provisioner.settings import Settings
from services.provisioner.store.tables import metadata
from services.provisioner.workflows.build_instance import BuildInstance
from services.provisioner.workflows.delete_instance import DeleteInstance
from shared.bus import RpcCaller
from shared.config import read
from shared.db import Database, Sealed, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.secrets import KeyringFile, Secret, keyring_path


@cache
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@cache
def database() -> Database:
    """This service's database, brought up to date."""
    chosen = settings()
    Sealed.keyring = KeyringFile(keyring_path(chosen.keyring, chosen.home))
    migrate.upgrade("provisioner", chosen.database_url)
    return Database(chosen.database_url, "provisioner", metadata)


@cache
def provider() -> BaseProvider:
    """The provider in use."""
    return get_provider(settings().provider, dict(config))


def steps() -> tuple[StepEngine, int, Subscribe]:
    """The engine with this service's workflows."""
    base, cloud, chosen = database(), provider(), settings()
    build = BuildInstance(base, cloud, _issue_key, make_host_key, chosen.server_deadline).workflow()
    delete = DeleteInstance(base, cloud).workflow()
    engine = StepEngine(base, {flow.name: flow for flow in (build, delete)})
    return engine, chosen.workers, base.on_commit


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_commit


def make_host_key(name: str) -> tuple[Secret, str]:
    """A host key pair for a server to be born with: (private OpenSSH text, public line)."""
    pair = Ed25519PrivateKey.generate()
    private = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = pair.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Secret(private.decode()), public.decode()


def _issue_key(cluster_id: str) -> str:
    return str(RpcCaller("datastore_agentless").call("issue_key", cluster_id)["public_key"])

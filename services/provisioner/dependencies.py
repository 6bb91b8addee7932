"""The provisioner's composition root: the only module here that reads configuration."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nameko import config

from services.provisioner.providers import get_provider
from services.provisioner.providers.base import BaseProvider
from services.provisioner.providers.clouds import Clouds
from services.provisioner.providers.watch import ProviderWatch
from services.provisioner.providers.witness import Witness
from services.provisioner.settings import Settings
from services.provisioner.store.delegations import Delegations
from services.provisioner.store.tables import metadata
from services.provisioner.workflows.attach_volume import AttachVolume
from services.provisioner.workflows.build_instance import BuildInstance
from services.provisioner.workflows.delete_instance import DeleteInstance
from services.provisioner.workflows.lead_address import LeadAddress
from services.provisioner.workflows.remove_thing import RemoveThing
from services.provisioner.workflows.resize_instance import ResizeInstance
from services.provisioner.workflows.switch_power import SwitchPower
from shared.bus import RpcCaller
from shared.config import read
from shared.db import Database, Sealed, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.once import once
from shared.secrets import KeyringFile, Secret, keyring_path
from shared.state import StateOf


@once
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@once
def keyring() -> KeyringFile:
    """The keys that seal secrets at rest."""
    return KeyringFile.opened(keyring_path(settings().keyring, settings().home))


@once
def database() -> Database:
    """This service's database, brought up to date."""
    chosen = settings()
    Sealed.keyring = keyring()
    migrate.upgrade("provisioner", chosen.database_url, migrate.FOR_EVER)
    return Database(chosen.database_url, "provisioner", metadata)


@once
def provider() -> BaseProvider:
    """The provider in use."""
    return get_provider(settings().provider, dict(config))


@once
def clouds() -> Clouds:
    """The provider in all accounts that it may use."""
    return Clouds(provider(), Delegations(database()))


@once
def watch() -> ProviderWatch:
    """What the provider said last."""
    return ProviderWatch(settings().provider, clouds())


@once
def witness() -> Witness:
    """Who asks the provider about one server."""
    return Witness(clouds())


@once
def state() -> StateOf:
    """What this service knows of itself."""
    return StateOf(database(), settings().home, keyring())


def steps() -> tuple[StepEngine, int, Subscribe]:
    """The engine with this service's workflows."""
    base, cloud, chosen = database(), clouds(), settings()
    build = BuildInstance(base, cloud, _issue_key, make_host_key, chosen.server_deadline).workflow()
    delete = DeleteInstance(base, cloud).workflow()
    attach = AttachVolume(base, cloud)
    remove = RemoveThing(base, cloud).workflow()
    power = SwitchPower(base, cloud, chosen.server_deadline)
    flows = (build, delete, remove, attach.create_workflow(), attach.attach_workflow(), power.fence_workflow(),
             power.power_on_workflow(), *ResizeInstance(base, cloud, chosen.server_deadline).workflows(),
             *LeadAddress(base, cloud).workflows())  # fmt: skip
    engine = StepEngine(base, {flow.name: flow for flow in flows})
    return engine, chosen.workers, base.on_tasks


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_outbox


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

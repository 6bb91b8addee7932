"""The catalogue of datastores: what users can choose, and the three that every installation starts with."""

from __future__ import annotations

import logging
from uuid import NAMESPACE_URL, uuid5

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.store import catalogue
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import DatastoreRegistered
from shared.db import Database, Tx
from shared.errors import Conflict, Failure, NotFound

Managers = tuple[tuple[str, str], ...]

log = logging.getLogger(__name__)

# Manager, version and packages of what is there from the first start.
SEED = (
    ("mysql", "10.11", ("mariadb-server",)),
    ("pgsql", "15", ("postgresql-15",)),
    ("redis", "7.0", ("redis-server",)),
)
_IMAGE = "debian-12"


def seed(database: Database, managers: Managers) -> None:
    """Make the first entries where there are none, and announce every entry: consumers may be new."""
    with database.write() as tx:
        known = {(entry.manager, entry.version) for entry in catalogue.datastores(tx.connection)}
        for name, version, packages in SEED:
            path = next((path for path, registered in managers if registered == name), None)
            if path and (name, version) not in known:
                identity = str(uuid5(NAMESPACE_URL, f"dtrove:datastore:{name}:{version}"))
                catalogue.put(tx, Datastore(id=identity, manager_class=path, manager=name, version=version,
                                            image=_IMAGE, packages=list(packages)))  # fmt: skip
        for entry in catalogue.datastores(tx.connection):
            _announce(tx, entry, managers)


def create(database: Database, managers: Managers, *, manager: str, version: str, image: str,
           packages: list[str], default_parameters: dict[str, str]) -> Datastore:  # fmt: skip
    """Add a version. `manager` is a registered name or a dotted path. Raises Failure (unknown manager), Conflict."""
    draft = Datastore(id=new_id(), manager_class=manager, manager=manager, version=version, image=image,
                      packages=packages, default_parameters=default_parameters)  # fmt: skip
    loaded = load_manager(manager, draft, managers)
    draft.manager = loaded.name
    with database.write() as tx:
        for entry in catalogue.datastores(tx.connection):
            if (entry.manager, entry.version) == (draft.manager, version):
                if not entry.deleted:
                    raise Conflict(
                        f"datastore {entry.name} exists already", what_to_do="change it, or choose another version"
                    )
                draft.id = entry.id
        catalogue.put(tx, draft)
        _announce(tx, draft, managers)
    return draft


def update(database: Database, managers: Managers, datastore_id: str, changes: dict[str, object]) -> Datastore:
    """Change image, packages or default parameters of an entry. Raises NotFound."""
    with database.write() as tx:
        entry = catalogue.datastore(tx.connection, datastore_id)
        if entry.deleted:
            raise NotFound(f"there is no datastore {datastore_id}")
        for name in ("image", "packages", "default_parameters"):
            if name in changes:
                setattr(entry, name, changes[name])
        catalogue.put(tx, entry)
        _announce(tx, entry, managers)
    return entry


def remove(database: Database, managers: Managers, datastore_id: str) -> Datastore:
    """Take an entry out of the choice; clusters made with it go on. Raises NotFound."""
    with database.write() as tx:
        entry = catalogue.datastore(tx.connection, datastore_id)
        entry.deleted = True
        catalogue.put(tx, entry)
        _announce(tx, entry, managers)
    return entry


def _announce(tx: Tx, entry: Datastore, managers: Managers) -> None:
    """Say what an entry is; one whose manager is gone is not offered, and keeps nobody from hearing of the others."""
    try:
        manager = load_manager(entry.manager_class, entry, managers)
        least, port, gone = manager.min_ram_mb, manager.port, entry.deleted
        modes = manager.topology.modes if manager.topology else ()
        dialect = manager.accounts.dialect.name if manager.accounts else ""
        full_only = manager.full_only
    except Failure as error:
        log.warning("%s is not offered: %s", entry.name, error.message)
        least, port, gone, modes, dialect, full_only = 0, 0, True, (), "", ""
    tx.emit(
        DatastoreRegistered(
            id=entry.id, manager=entry.manager, version=entry.version, image=entry.image,
            packages=tuple(entry.packages), name=entry.name, min_ram_mb=least, port=port, modes=modes, dialect=dialect,
            default_parameters=entry.default_parameters, deleted=gone,
            full_only=full_only,
        )
    )  # fmt: skip

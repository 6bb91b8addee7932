"""The events that the services announce, one module per publisher; importing this package registers them all."""

from shared.contracts import (
    api,
    archives,
    backups,
    datastore_agentless,
    exports,
    external,
    imports,
    operations,
    provisioner,
    restores,
    scheduler,
)
from shared.contracts.base import REGISTRY, Event, dump, event, load, new_id, schema_of, utcnow

__all__ = [
    "REGISTRY", "Event", "api", "archives", "backups", "datastore_agentless", "dump", "event", "exports", "external", "imports", "load", "new_id",
    "operations", "provisioner", "restores", "scheduler", "schema_of", "utcnow",
]  # fmt: skip

"""The port that every datastore manager obeys. Managers yield commands; they never run them."""

from __future__ import annotations

from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script


class BaseManager:
    """Base of all managers: subclass it and override what your database does differently."""

    service_name: str | None = None
    port: int = 0
    url_scheme: str = ""
    admin_user: str = ""
    min_ram_mb: int = 0

    def __init__(self, datastore: Datastore) -> None:
        self.datastore = datastore

    @property
    def name(self) -> str:
        """The manager's name: the class's, lower case, without `Manager` (MySQLManager is `mysql`)."""
        return type(self).__name__.removesuffix("Manager").lower()

    def preflight(self, instance: Instance) -> Script: ...
    def prepare(self, instance: Instance) -> Script: ...
    def verify(self, instance: Instance) -> Script: ...
    def backup(self, instance: Instance) -> Script: ...
    def render_config_file(self, instance: Instance) -> str: ...
    def start(self) -> Script: ...
    def stop(self) -> Script: ...
    def restart(self) -> Script: ...

"""What every workflow on a host needs: the instance, its manager, and a runner that speaks for the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import HostKeyChanged, Script, Target
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.simulated import SimulatedHosts, SimulatedRunner, is_simulated
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.store import catalogue, clusters, transcripts
from shared.contracts.datastore_agentless import NodeIdentityChanged, TranscriptRecorded
from shared.contracts.values import TranscriptEntry
from shared.db import Database
from shared.errors import Cancelled, Failure
from shared.secrets import Secret
from shared.workflow import StepContext

ManagerFor = Callable[[Datastore], BaseManager]


@dataclass(frozen=True)
class Hosts:
    """Opens hosts for tasks. `prefix` is DTROVE_PREFIX as configured, with `%(name)s` for properties of the instance."""

    database: Database
    pool: SshPool
    manager_for: ManagerFor
    prefix: str = ""
    jump: Target | None = None
    simulated: SimulatedHosts = field(default_factory=SimulatedHosts)

    def instance(self, context: StepContext) -> Instance:
        """The instance that a task speaks of. Raises Cancelled once it is deleted."""
        with self.database.read() as connection:
            instance = clusters.instance(connection, context.task.payload["instance_id"])
        if instance.status == "deleted":
            raise Cancelled(f"instance {instance.id} is gone")
        return instance

    def manager(self, instance: Instance) -> BaseManager:
        """The manager of the datastore that the instance's cluster was made with."""
        with self.database.read() as connection:
            cluster = clusters.cluster(connection, instance.cluster_id)
            entry = catalogue.datastore(connection, cluster.datastore_id)
        return self.manager_for(entry)

    def target(self, instance: Instance) -> Target:
        """How to reach an instance over SSH: its connection_info, with the cluster's own key."""
        with self.database.read() as connection:
            pair = catalogue.key(connection, instance.cluster_id)
        if pair is None:
            raise Failure(
                f"cluster {instance.cluster_id} has no SSH key", what_to_do="delete the cluster and make it anew"
            )
        addr, port = instance.addr, instance.ssh_port
        if str(port) in instance.reach:
            addr, text = instance.reach[str(port)].rsplit(":", 1)
            port = int(text)
        return Target(
            name=instance.name, addr=addr, port=port, user=instance.user, private_key=pair.private,
            passphrase=pair.passphrase, known_host=instance.host_key, prefix=self._prefix(instance), jump=self.jump,
        )  # fmt: skip

    def run(
        self, context: StepContext, instance: Instance, script: Script,
        on_output: Callable[[str, str], None] | None = None,
    ) -> object:  # fmt: skip
        """Run a manager's script on an instance for a task; return what the script returned.

        Each command's redacted record is announced as it ends. A changed host key raises and is announced.
        """
        target = self.target(instance)
        recorder = _Recorder(self.database, context)
        transcript = Transcript(host=instance.name, sink=recorder, secrets=(instance.admin_password,))
        driver = self._driver(
            target=target, task_id=context.task.id, subject=context.task.subject, epoch=context.task.epoch,
            transcript=transcript, on_progress=lambda title, percent: context.report(title, percent=percent),
            on_output=on_output, check=context.check,
        )  # fmt: skip
        try:
            return driver.execute(script)
        except HostKeyChanged as error:
            self._announce_identity(instance, error)
            raise

    def _driver(self, target: Target, **options: Any) -> Driver:
        if is_simulated(target.addr):
            return SimulatedRunner(hosts=self.simulated, target=target, **options)
        return HostRunner(pool=self.pool, target=target, **options)

    def _prefix(self, instance: Instance) -> str:
        if instance.user == "root" and self.prefix.strip().startswith("sudo") and "%(" not in self.prefix:
            return ""
        properties = {name: str(value) for name, value in asdict(instance).items() if not isinstance(value, Secret)}
        return self.prefix % properties

    def _announce_identity(self, instance: Instance, error: HostKeyChanged) -> None:
        with self.database.write() as tx:
            tx.emit(
                NodeIdentityChanged(
                    instance_id=instance.id, cluster_id=instance.cluster_id, addr=instance.addr,
                    expected=error.expected, seen=error.seen,
                )
            )  # fmt: skip


@dataclass(frozen=True)
class _Recorder:
    """Announces each command as it ends, numbered over all the steps and hosts of an operation."""

    database: Database
    context: StepContext

    def __call__(self, entry: TranscriptEntry) -> None:
        task = self.context.task
        with self.database.write() as tx:
            numbered = transcripts.number(tx, task.operation_id, entry)
            tx.emit(TranscriptRecorded(operation_id=task.operation_id, cluster_id=task.cluster_id, entries=(numbered,)))

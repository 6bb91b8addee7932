"""What every workflow on a host needs: the instance, its manager, and a runner that speaks for the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.hosts import prefix
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
from shared.errors import Cancelled, Retryable
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
        """The instance that a task speaks of. Raises Cancelled once it leaves its cluster, or is deleted."""
        with self.database.read() as connection:
            instance = clusters.instance(connection, context.task.payload["instance_id"])
        if instance.status in GOING:
            raise Cancelled(f"instance {instance.id} is {instance.status}")
        return instance

    def manager(self, instance: Instance) -> BaseManager:
        """The manager of the datastore that the instance's cluster was made with."""
        with self.database.read() as connection:
            cluster = clusters.cluster(connection, instance.cluster_id)
            entry = catalogue.datastore(connection, cluster.datastore_id)
        return self.manager_for(entry)

    def target(self, instance: Instance) -> Target:
        """How to reach an instance over SSH: its connection_info, with the cluster's own key."""
        info = instance.connection_info
        return Target(
            name=instance.name, addr=info.host, port=info.port, user=info.user, private_key=info.private_key,
            passphrase=info.passphrase, known_host=info.host_key, jump=self.jump,
            prefix=prefix.fill(self.prefix, instance.properties, info.user),
        )  # fmt: skip

    @property
    def through_console(self) -> bool:
        """Whether hosts are reached by a command on another one: then sshd there is not the instance's own."""
        return prefix.names_instance(self.prefix)

    def run(
        self, context: StepContext, instance: Instance, script: Script,
        on_output: Callable[[str, str], None] | None = None, retiring: str = "",
    ) -> object:  # fmt: skip
        """Run a manager's script on an instance for a task; return what the script returned.

        Each command's redacted record is announced as it ends. A changed host key raises and is announced, unless it
        is the one that is `retiring`: sshd takes a moment to load its new key, and the step is tried again.
        """
        target = self.target(instance)
        recorder = _Recorder(self.database, context)
        transcript = Transcript(host=instance.name, sink=recorder, secrets=instance.secrets)
        driver = self._driver(
            target=target, task_id=context.task.id, subject=context.task.subject, epoch=context.task.epoch,
            transcript=transcript, on_progress=lambda title, percent: context.report(title, percent=percent),
            on_output=on_output, check=context.check,
        )  # fmt: skip
        try:
            return driver.execute(script)
        except HostKeyChanged as error:
            if retiring and error.seen == retiring:
                raise Retryable(f"{instance.name} still shows the host key that it was born with") from error
            self._announce_identity(instance, error)
            raise

    def look(self, instance: Instance, script: Script, seconds: float) -> Any:
        """Run a script that only looks, for no task: nothing is recorded, no fence is asked, no command takes longer."""
        transcript = Transcript(host=instance.name, secrets=instance.secrets)
        driver = self._driver(
            target=self.target(instance), task_id="", epoch=0, transcript=transcript, look_seconds=seconds
        )
        return driver.execute(script)

    def work(self, instance: Instance, script: Script, subject: str, epoch: int, check: Callable[[], None]) -> Any:
        """Run a script for no operation: nothing is recorded, but the host refuses an older epoch on the subject, as always."""
        transcript = Transcript(host=instance.name, secrets=instance.secrets)
        driver = self._driver(
            target=self.target(instance),
            task_id=subject,
            subject=subject,
            epoch=epoch,
            transcript=transcript,
            check=check,
        )
        return driver.execute(script)

    def _driver(self, target: Target, **options: Any) -> Driver:
        if is_simulated(target.addr):
            return SimulatedRunner(hosts=self.simulated, target=target, **options)
        return HostRunner(pool=self.pool, target=target, **options)

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

"""Turns a bare server into a node: identity pinned, checked, installed, configured, started, given its data, proved to answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts import identity, volumes
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.ending import fail_node, node_prepared
from services.datastore_agentless.workflows.keeping import STEP_SECONDS, Keeping
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.restoring import Restoring
from services.datastore_agentless.workflows.seen_parameters import learn, see
from shared.db import Tx
from shared.workflow import Next, Outcome, Save, Step, StepContext, Workflow


@dataclass(frozen=True)
class PrepareNode:
    """The steps. Each runs a script from its top, and each script is find-or-do."""

    hosts: Hosts
    stores: Stores

    def workflow(self) -> Workflow:
        """Steps in order. A failure keeps the host as it is, for a look, a retry, or a delete."""
        steps = (
            # Slow growth: a host that has just come up has been waited for little longer than it took to come up.
            Step("connect", self._connect, deadline=300, backoff=0.1, backoff_cap=1, growth=1.3),
            Step("trust", self._trust, deadline=120),
            Step("pin", self._pin, deadline=120, backoff=0.1, backoff_cap=2),
            Step("preflight", self._preflight, deadline=300),
            Step("mount", self._mount, deadline=600),
            Step("prepare", self._prepare, deadline=1800),
            Step("restore", self._restore, deadline=STEP_SECONDS),
            Step("verify", self._verify, deadline=300),
        )
        return Workflow("prepare_node", steps, on_failure=fail_node)

    def _connect(self, context: StepContext) -> Outcome:
        """Log in with the host key that the server was born with, and make a new one that nobody else has seen."""
        instance = self.hosts.instance(context)
        if "\n" in instance.host_key:
            return Next(save=self._changing(instance, status=Status.PREPARING))
        context.report(f"connecting to {instance.addr}")
        if self.hosts.through_console or context.task.payload.get("keeps_host_key"):
            # Either the compute host is what is logged in to, whose identity is not ours, or the host made its own key.
            self.hosts.run(context, instance, identity.reach())
            return Next(save=self._changing(instance, status=Status.PREPARING), message="logged in")
        fresh = str(self.hosts.run(context, instance, identity.make_host_key()))
        both = f"{instance.host_key}\n{fresh}"
        return Next(save=self._changing(instance, status=Status.PREPARING, host_key=both),
                    message="logged in; a new host key was made")  # fmt: skip

    def _trust(self, context: StepContext) -> Outcome:
        """Have the host show the new key. A step of its own: told again at each look, sshd would never come to rest."""
        instance = self.hosts.instance(context)
        if "\n" not in instance.host_key:
            return Next()
        self.hosts.run(context, instance, identity.use_host_key())
        return Next(message="the host was told to show its new key")

    def _pin(self, context: StepContext) -> Outcome:
        """Pin the new key alone, once the host has shown it."""
        instance = self.hosts.instance(context)
        if "\n" not in instance.host_key:
            return Next()
        born_with, fresh = instance.host_key.splitlines()
        pinned = replace(instance, host_key=fresh)
        self.hosts.run(context, pinned, identity.reach(), retiring=born_with)
        return Next(save=lambda tx: clusters.save_instance(tx, pinned), message="the new host key is pinned")

    def _preflight(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        ahead = self.hosts.run(context, instance, self.hosts.manager(instance).preflight(instance))
        # A stranger's manager may return whatever it likes.
        known = float(ahead) if isinstance(ahead, int | float) else None
        return Next(save=self._changing(instance, clock_ahead=known), message="the host is fit")

    def _mount(self, context: StepContext) -> Outcome:
        """Mount a volume that its provider has only attached."""
        instance = self.hosts.instance(context)
        if not instance.volume_device:
            return Next()
        self.hosts.run(context, instance, volumes.mount(instance.volume_device, instance.data_dir))
        return Next(message=f"the volume is mounted at {instance.data_dir}")

    def _prepare(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        self.hosts.run(context, instance, self.hosts.manager(instance).prepare(instance))
        return Next(message="installed, configured, started")

    def _restore(self, context: StepContext) -> Outcome:
        """Begin with the data of a backup, where that was wished for."""
        return Restoring(Keeping(self.hosts, self.stores)).restore(context, self.hosts.instance(context))

    def _verify(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        manager = self.hosts.manager(instance)
        self.hosts.run(context, instance, manager.verify(instance))
        learned, seen = learn(self.hosts, instance), see(self.hosts, context, instance)

        def save(tx: Tx) -> None:
            node_prepared(tx, context.task, instance, manager)
            learned(tx)
            seen(tx)

        return Next(save=save, message=f"{manager.datastore.name} answers")

    def _changing(self, instance: Instance, **changes: object) -> Save:
        def save(tx: Tx) -> None:
            clusters.change_instance(tx, instance, **changes)

        return save

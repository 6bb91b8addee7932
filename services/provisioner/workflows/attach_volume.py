"""Turns an operator's wish for a volume into one that is made, or made, attached and mounted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import BaseProvider
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import instances
from shared.db import Database
from shared.workflow import Next, Outcome, Step, StepContext, Workflow


@dataclass(frozen=True)
class AttachVolume:
    """Two small workflows over the clouds, whose calls find what they made before."""

    database: Database
    clouds: Clouds

    def create_workflow(self) -> Workflow:
        """Make the volume alone."""
        return Workflow("create_volume", (Step("create_volume", self._create, deadline=300),))

    def attach_workflow(self) -> Workflow:
        """Make it where it is missing, attach it, mount it."""
        return Workflow("attach_volume", (Step("attach_volume", self._attach, deadline=300),))

    def _create(self, context: StepContext) -> Outcome:
        return self._change(context, lambda provider, instance: provider.create_volume(instance), "made")

    def _attach(self, context: StepContext) -> Outcome:
        return self._change(context, lambda provider, instance: provider.attach_volume(instance), "attached")

    def _change(self, context: StepContext, call: Callable[[BaseProvider, Instance], None], done: str) -> Outcome:
        with self.database.read() as connection:
            instance = instances.get(connection, context.task.payload["instance_id"])
        assert instance.volume is not None
        instance.volume.id = context.task.payload.get("volume_id") or instance.volume.id
        call(self.clouds.of(instance), instance)
        return Next(save=lambda tx: instances.save(tx, instance), message=f"volume {instance.volume.id} is {done}")

"""What the servers of a cluster share: a key pair, and a group that keeps them on different compute hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import ConflictException, ForbiddenException

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.openstack.marks import name_of
from services.provisioner.providers.openstack.settings import OpenStackSettings


@dataclass(frozen=True)
class Togetherness:
    """Made with a cluster's first server, removed with its last."""

    cloud: Connection
    chosen: OpenStackSettings

    def key_name(self, instance: Instance) -> str:
        """The cluster's key pair, made where there is none; its private half never leaves datastore_agentless."""
        name = name_of(instance.cluster_id)
        try:
            self.cloud.compute.create_keypair(name=name, public_key=instance.public_key)
        except ConflictException as error:
            if "quota" in str(error).lower():
                raise
        return name

    def server_group(self, instance: Instance) -> str:
        """The id of the cluster's server group; empty where none is wanted, or where one is only a wish and cannot be had."""
        policy = self.chosen.anti_affinity
        if policy == "none":
            return ""
        there = self._groups(instance.cluster_id)
        if there:
            return str(there[0].id)
        try:
            self.cloud.compute.create_server_group(name=name_of(instance.cluster_id), policy=policy)
        except ForbiddenException:
            if policy == "anti-affinity":
                raise
            return ""
        # Of two that were made at the same moment both workers take the same one; the other goes with the cluster.
        return str(self._groups(instance.cluster_id)[0].id)

    def remove(self, cluster_id: str) -> None:
        """Remove them; fine when they are gone."""
        self.cloud.compute.delete_keypair(name_of(cluster_id), ignore_missing=True)
        for group in self._groups(cluster_id):
            self.cloud.compute.delete_server_group(group, ignore_missing=True)

    def _groups(self, cluster_id: str) -> list[Any]:
        groups = [one for one in self.cloud.compute.server_groups() if one.name == name_of(cluster_id)]
        return sorted(groups, key=lambda one: str(one.id))

"""What the project may still have, looked up before anything is begun, so that a refusal says what and how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openstack.connection import Connection

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderError

UNLIMITED = -1


def check_servers(cloud: Connection, instance: Instance) -> None:
    """Whether the project has room for one more server of this flavor. Raises ProviderError."""
    limits = cloud.compute.get_limits().absolute
    flavor = instance.flavor
    _refuse(
        _short(limits, ("servers", 1, "instances", "instances_used"), ("vCPUs", flavor.vcpus, "total_cores", "total_cores_used"),
               ("MB of memory", flavor.ram_mb, "total_ram", "total_ram_used"))
    )  # fmt: skip


def check_volume(cloud: Connection, size_gb: int) -> None:
    """Whether the project has room for one more volume of this size. Raises ProviderError."""
    limits = cloud.block_storage.get_limits().absolute
    _refuse(
        _short(limits, ("volumes", 1, "max_total_volumes", "total_volumes_used"),
               ("GB of volumes", size_gb, "max_total_volume_gigabytes", "total_gigabytes_used"))
    )  # fmt: skip


def _short(limits: Any, *wants: tuple[str, int, str, str]) -> Iterator[str]:
    for what, wanted, limit_name, used_name in wants:
        limit, used = getattr(limits, limit_name, None), getattr(limits, used_name, None) or 0
        if limit is None or limit == UNLIMITED:
            continue
        if used + wanted > limit:
            yield f"{what}: {wanted} more than the {used} in use, of {limit} allowed"


def _refuse(short: Iterator[str]) -> None:
    lacking = "; ".join(short)
    if lacking:
        raise ProviderError(f"the OpenStack project's quota is too small: this needs {lacking}",
                            what_to_do="raise the project's quota, or delete what is not needed; then retry")  # fmt: skip

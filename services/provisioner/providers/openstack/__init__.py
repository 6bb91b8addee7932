"""OpenStack, by its SDK. The provider is imported when it is asked for: its SDK takes memory that others can do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.provisioner.providers.openstack.provider import Provider

__all__ = ["Provider"]


def __getattr__(name: str) -> object:
    if name != "Provider":
        raise AttributeError(f"module {__name__} has no {name}")
    from services.provisioner.providers.openstack.provider import Provider

    return Provider

"""What Keystone calls things, in the form that they have in DTrove."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5


def project_id(given: str) -> str:
    """The id that a project of Keystone's has in DTrove: its own, written as ids are here."""
    try:
        return str(UUID(given))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"keystone:project:{given}"))

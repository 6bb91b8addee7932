"""What a project has lent: the right to act in its own project of the cloud."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.secrets import Secret


class Kind(StrEnum):
    """How a right is lent, in Keystone's words."""

    APPLICATION_CREDENTIAL = "application_credential"
    TRUST = "trust"


@dataclass(frozen=True)
class Delegation:
    """One project's. `credential_id` is the application credential's id, with its `secret`, or the trust's, without one.

    The trustee is the user that the service itself logs in as. `cloud_project` is the project of the cloud that it leads to.
    """

    project_id: str
    kind: Kind
    credential_id: str
    secret: Secret = field(default_factory=lambda: Secret(""))
    cloud_project: str = ""

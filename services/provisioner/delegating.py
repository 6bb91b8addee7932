"""What projects lend, and take back: a right to act in their own project of the cloud."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.provisioner.domain.delegation import Delegation
from services.provisioner.providers.base import BaseProvider, ProviderError
from services.provisioner.store import delegations
from shared import keystone
from shared.db import Database
from shared.errors import Conflict, FieldError, Invalid, NotFound


def accept(database: Database, provider: BaseProvider, given: Delegation, *, own: bool = False) -> dict[str, Any]:
    """Try what a project lends, then keep it in place of what it has lent before; return it without its secret.

    `own`: the project is one of Keystone's, and what it lends has to lead to itself. Raises Invalid where it does not let in or
    leads elsewhere, Conflict where instances are in another project of the cloud, ProviderBusy where the cloud is away.
    """
    try:
        given = replace(given, cloud_project=provider.on_behalf(given).cloud_project)
    except ProviderError as error:
        raise Invalid("what is lent does not let in", (FieldError("credential_id", error.message),),
                      what_to_do="see that it is of this cloud, has not ended, and has the role member") from error  # fmt: skip
    if own and keystone.project_id(given.cloud_project) != given.project_id:
        raise Invalid("what is lent is not this project's",
                      (FieldError("credential_id", f"leads to another project, {given.cloud_project}"),),
                      what_to_do="make it in the project for which it is lent")  # fmt: skip
    with database.write() as tx:
        before = delegations.find(tx.connection, given.project_id)
        if before and before.cloud_project != given.cloud_project:
            _refuse_while_used(delegations.names_in_use(tx.connection, given.project_id), "lend another project")
        delegations.put(tx, given)
    return shown(given)


def show(database: Database, project_id: str) -> dict[str, Any]:
    """What a project has lent, without its secret. Raises NotFound."""
    with database.read() as connection:
        there = delegations.find(connection, project_id)
    if there is None:
        raise NotFound(f"project {project_id} has lent nothing")
    return shown(there)


def withdraw(database: Database, project_id: str) -> None:
    """Forget what a project has lent; fine where it has lent nothing. Raises Conflict while instances are there."""
    with database.write() as tx:
        _refuse_while_used(delegations.names_in_use(tx.connection, project_id), "take it back")
        delegations.drop(tx, project_id)


def shown(given: Delegation) -> dict[str, Any]:
    """Ready for JSON."""
    return {"kind": str(given.kind), "credential_id": given.credential_id, "cloud_project": given.cloud_project}


def _refuse_while_used(names: list[str], wish: str) -> None:
    if names:
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise Conflict(f"the servers of {some} are in the project that is lent: nobody could delete them any more",
                       what_to_do=f"delete their clusters, then {wish}")  # fmt: skip

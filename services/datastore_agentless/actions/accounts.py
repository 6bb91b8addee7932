"""Databases and users, as the bus tells of what is wanted; see workflows.change_accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.datastore_agentless.domain.account import Change, opened
from services.datastore_agentless.domain.cluster import Status
from services.datastore_agentless.store import accounts, clusters
from services.datastore_agentless.workflows.ending import file_accounts
from shared.contracts.accounts import AccountChange
from shared.contracts.api import AccountsRequested
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Database
from shared.secrets import Secret

Open = Callable[[str], Secret]
_UNFIT = Problem(step="begin", message="the cluster does not serve", what_to_do="wait until it is active")


def request_accounts(database: Database, event: AccountsRequested, unseal: Open) -> bool:
    """File a change of a cluster's accounts, or a look at them; false while the cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "request_accounts"):
            return True
        if cluster.status != Status.ACTIVE:
            tx.emit(
                OperationEnded(operation_id=event.operation_id, cluster_id=cluster.id, status="failed", problem=_UNFIT)
            )
        elif accounts.add(tx, event.operation_id, cluster.id, open_all(event.changes, unseal)):
            file_accounts(tx, cluster.id, event.operation_id)
        return True


def open_all(changes: Iterable[AccountChange], unseal: Open) -> list[Change]:
    """Wishes off the bus, with what was sealed in them. Raises Failure where no key fits."""
    return [opened(one, unseal(one.sealed_password) if one.sealed_password else Secret("")) for one in changes]

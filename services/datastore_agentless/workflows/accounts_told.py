"""Tells the others of a cluster what its primary knows of accounts, where replication does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.workflows.on_host import Hosts
from shared.secrets import Secret
from shared.workflow import StepContext


def tell(
    hosts: Hosts, context: StepContext, primary: Instance, others: Sequence[Instance], changes: Sequence[Change] = ()
) -> None:
    """After these changes, or for nodes that have come since. Raises HostUnreachable."""
    keeper = hosts.manager(primary).accounts
    if keeper is None or not others:
        return
    carried = cast("Secret", hosts.run(context, primary, keeper.carried(primary)))
    for node in others:
        hosts.run(context, node, keeper.tell(node, changes, carried))

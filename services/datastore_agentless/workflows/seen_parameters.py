"""What nodes run with: asked where it may have changed, and announced; and what parameters there are at all, asked once."""

from __future__ import annotations

import logging
from typing import cast

from services.datastore_agentless.datastores.base.parameters import Catalogue
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable
from services.datastore_agentless.store import clusters, parameters
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.datastore_agentless import ParametersDefined, ParametersSeen
from shared.contracts.parameters import NodeParameters
from shared.db import Tx
from shared.workflow import Save, StepContext

CATALOGUE_SECONDS = 20.0
log = logging.getLogger(__name__)


def nothing(tx: Tx) -> None:
    """Nothing to store."""


def learn(hosts: Hosts, node: Instance) -> Save:
    """Ask a node's engine what parameters there are, where nobody has been asked yet; returns what is to be stored of it.

    A node is as good without: what cannot be asked now is asked the next node.
    """
    manager = hosts.manager(node)
    with hosts.database.read() as connection:
        known = parameters.are_known(connection, manager.datastore.id)
    if manager.parameters is None or known:
        return nothing
    try:
        found = cast("Catalogue", hosts.look(node, manager.parameters.catalogue(node), CATALOGUE_SECONDS))
    except (HostUnreachable, HostKeyChanged, CommandFailed, ValueError, KeyError) as error:
        log.warning("the parameters of %s could not be read on %s: %s", manager.datastore.name, node.name, error)
        return nothing

    def save(tx: Tx) -> None:
        parameters.learn(tx, manager.datastore.id, found.engine, found.definitions)
        tx.emit(
            ParametersDefined(datastore_id=manager.datastore.id, engine=found.engine, definitions=found.definitions)
        )

    return save


def see(hosts: Hosts, context: StepContext, node: Instance, *, change: bool = False) -> Save:
    """Ask a node with what it runs, of all that was ever set; with `change` have it take what it does not have yet.

    Returns what is to be announced of it.
    """
    port = hosts.manager(node).parameters
    with hosts.database.read() as connection:
        names = parameters.ever_set(connection, node.cluster_id)
        cluster = clusters.cluster(connection, node.cluster_id)
        known = parameters.definitions(connection, cluster.datastore_id)
    if port is None or not names or not known:
        return nothing
    script = port.change(node, names, known) if change else port.see(node, names, known)
    seen = cast("NodeParameters", hosts.run(context, node, script))
    return lambda tx: tx.emit(ParametersSeen(cluster_id=node.cluster_id, nodes=(seen,)))

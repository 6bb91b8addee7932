"""How a resize goes on and ends: the volumes first, while all nodes serve, then the servers, one after the other."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.resize import Resize
from services.datastore_agentless.domain.roll import Action
from services.datastore_agentless.workflows.rolling import file_roll
from shared.contracts.base import load
from shared.contracts.datastore_agentless import ClusterResized
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure


def go_on(tx: Tx, cluster: Cluster, resize: Resize, result: dict[str, Any]) -> None:
    """The volumes of a cluster whose row is held are as they are to be: on to its servers, or to the end with `result`."""
    if resize.flavor is None:
        tx.emit(ClusterResized(cluster_id=cluster.id, operation_id=resize.operation_id, volume_gb=resize.volume_gb,
                               result=result))  # fmt: skip
        return
    if resize.volume_gb:
        tx.emit(ClusterResized(cluster_id=cluster.id, operation_id="", volume_gb=resize.volume_gb, result=result))
    file_roll(tx, cluster, resize.operation_id, Action.RESIZE)


def refuse(what: str, answer: dict[str, Any]) -> None:
    """Raise Failure with the provider's words where its answer is that it cannot."""
    if "problem" in answer:
        problem = load(Problem, answer["problem"])
        raise Failure(f"{what}: {problem.message}", command=problem.command, stderr=problem.stderr,
                      what_to_do=problem.what_to_do)  # fmt: skip


def superseded() -> Failure:
    """The error of whoever finds that another resize was asked for since."""
    return Failure("another size was asked for since", what_to_do="ask for the size that you want anew")

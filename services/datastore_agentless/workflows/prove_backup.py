"""Turns a cluster that is for nothing else into a word on the backup which it has begun with: verified, or not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from services.datastore_agentless.datastores.base.dumping import Mark
from services.datastore_agentless.domain import proofs
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Tally
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows import manifests
from services.datastore_agentless.workflows.ending import PROVE, announce_failed, proof_ids
from services.datastore_agentless.workflows.keeping import STEP_SECONDS, Keeping
from shared.contracts.backups import BackupVerificationFailed, BackupVerified, CheckResult, Proof
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow

_DOUBT = "restore another backup, back up anew, and look at what the check says"
Asked = tuple[dict[str, int], tuple[CheckResult, ...]]


@dataclass(frozen=True)
class ProveBackup:
    """The step. What it asks changes nothing that matters, and its jobs are asked once: it may begin anew at any moment."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Whatever comes of it, whoever has wished for it has the cluster deleted at the word."""
        return Workflow(PROVE, (Step("prove", self._prove, deadline=STEP_SECONDS),), on_failure=_failed)

    def _prove(self, context: StepContext) -> Outcome:
        hosts = self.keeping.hosts
        node = hosts.instance(context)
        with hosts.database.read() as connection:
            cluster = clusters.cluster(connection, node.cluster_id)
        backup = self.keeping.backup(cluster.restore_id)
        counts, results = self._asked(context, cluster, node, manifests.counted(backup))
        mark = cast("Mark", hosts.run(context, node, self.keeping.dumping(node).mark(node)))
        proof = Proof(engine=mark.engine, seconds=proofs.restored_in(cluster.proof), counts=counts, checks=results,
                      rpo_seconds=proofs.age_then(cluster.proof, backup.manifest["ended"]["at"]))  # fmt: skip

        def save(tx: Tx) -> None:
            kept = clusters.lock(tx, cluster.id)
            if kept is not None and kept.status not in GOING:
                _announce(tx, kept, node, proof)

        return Next(save=save, message=f"{sum(one.passed for one in results)} of {len(results)} checks have passed")

    def _asked(self, context: StepContext, cluster: Cluster, node: Instance, tally: Tally | None) -> Asked:
        """Raises Failure where a user wants to have asked what nobody knows how to ask."""
        manager, wanted = self.keeping.hosts.manager(node), proofs.checks(cluster.proof)
        if manager.proving is not None:
            return cast("Asked", self.keeping.hosts.run(context, node, manager.proving.prove(node, wanted, tally)))
        if wanted:
            raise Failure(f"{manager.datastore.name} cannot be asked by DTrove", what_to_do="verify without checks")
        return {}, ()


def _announce(tx: Tx, cluster: Cluster, node: Instance, proof: Proof) -> None:
    bad = [one for one in proof.checks if not one.passed]
    if not bad:
        tx.emit(BackupVerified(**proof_ids(cluster), proof=proof))
        return
    cluster.become(ClusterStatus.FAILED)
    clusters.save_cluster(tx, cluster)
    words = "; ".join(f"{one.name}: {one.message.splitlines()[-1]}" for one in bad)
    problem = Problem(
        step="prove", host=node.name, message=f"the restored data have not passed {words}", what_to_do=_DOUBT
    )
    tx.emit(BackupVerificationFailed(**proof_ids(cluster), problem=problem, proof=proof))


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    cluster = clusters.lock(tx, task.cluster_id)
    if cluster is not None:
        announce_failed(tx, cluster, task.operation_id, problem)

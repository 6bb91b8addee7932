"""What Prometheus is told of backups: how old the newest good one of each cluster is, what has failed since, what is kept.

Labels are names of clusters that are there or of which a backup is, so their number has a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, func, select

from services.api.domain.backups import Status
from services.api.store import tables

LABELS = ("project", "cluster")
AGE, FAILURES, STORED = "dtrove_backup_age_seconds", "dtrove_backup_failures", "dtrove_backup_stored_bytes"
PROOF_AGE, PROOF_FAILURES = "dtrove_backup_proof_age_seconds", "dtrove_backup_proof_failures"
LOG_AGE, LOG_STALE = "dtrove_archive_age_seconds", "dtrove_archive_stale"
FAMILIES = {
    AGE: "how old the newest completed backup of a cluster is; a cluster without one is not there",
    FAILURES: "backups of a cluster that have failed, or were found damaged, since its newest completed one",
    PROOF_AGE: "how long ago a backup of a cluster was last restored for a proof and has passed; a cluster without one is not there",
    PROOF_FAILURES: "backups of a cluster that are kept and have not passed their last proof",
    LOG_AGE: "how long ago the log of a cluster is kept until: as much would be lost; a cluster whose log is not kept is not there",
    LOG_STALE: "1 where the log of a cluster is kept no further than too long ago, or has a hole; else 0",
    STORED: "what is kept of a cluster's backups, also where the cluster is gone",
}
_a, _b, _c, _p = tables.archives, tables.backups, tables.clusters, tables.projects
_LOGS = select(_a.c.cluster_id, _a.c.until, _a.c.stale).where(_a.c.ended.is_(False))


def families(connection: Connection, now: datetime, project_id: str = "") -> Iterator[Metric]:
    """Every family, of a project's clusters, or for empty of all."""
    there = select(_c.c.id, _c.c.name, _p.c.name.label("project")).join(_p, _p.c.id == _c.c.project_id)
    there = there.where(_c.c.deleted_at.is_(None)).order_by(_p.c.name, _c.c.name)
    clusters = {row.id: (row.project, row.name) for row in connection.execute(_of(there, _c, project_id))}
    done = select(_b.c.cluster_id, func.max(_b.c.finished_at).label("at")).group_by(_b.c.cluster_id)
    good = {row.cluster_id: row.at for row in connection.execute(
        _of(done.where(_b.c.status == Status.COMPLETED), _b, project_id))}  # fmt: skip
    ages = {clusters[one]: (now - at).total_seconds() for one, at in good.items() if one in clusters}
    yield _family(AGE, ages)
    yield _family(FAILURES, _failures(connection, clusters, good, project_id))
    proofs = select(
        _b.c.cluster_id, func.max(_b.c.verified_at).label("at"), func.count(_b.c.unproven_at).label("failed")
    )
    proved = list(
        connection.execute(_of(proofs.where(_b.c.status == Status.COMPLETED), _b, project_id).group_by(_b.c.cluster_id))
    )
    seen = [(clusters[row.cluster_id], row) for row in proved if row.cluster_id in clusters and (row.at or row.failed)]
    yield _family(PROOF_AGE, {labels: (now - row.at).total_seconds() for labels, row in seen if row.at})
    yield _family(PROOF_FAILURES, {labels: float(row.failed) for labels, row in seen})
    logs = [
        (clusters[row.cluster_id], row)
        for row in connection.execute(_of(_LOGS, _a, project_id))
        if row.cluster_id in clusters
    ]
    yield _family(LOG_AGE, {labels: (now - row.until).total_seconds() for labels, row in logs if row.until})
    yield _family(LOG_STALE, {labels: float(row.stale) for labels, row in logs})
    yield _family(STORED, _stored(connection, project_id))


def _failures(
    connection: Connection, clusters: dict[str, tuple[str, str]], good: dict[str, datetime], project_id: str
) -> dict[tuple[str, str], float]:
    # What could not be removed has failed as well, but not to be made.
    ill = (_b.c.deletion_id == "") | _b.c.damaged_at.is_not(None)
    query = select(_b.c.cluster_id, _b.c.created_at).where(_b.c.status == Status.FAILED, ill)
    since: Counter[str] = Counter()
    for row in connection.execute(_of(query, _b, project_id)):
        if row.cluster_id not in good or row.created_at > good[row.cluster_id]:
            since[row.cluster_id] += 1
    return {labels: float(since[one]) for one, labels in clusters.items() if one in good or since[one]}


def _stored(connection: Connection, project_id: str) -> dict[tuple[str, str], float]:
    kept = select(_p.c.name, _b.c.cluster_name, func.sum(_b.c.counted_bytes).label("size"))
    kept = kept.join(_p, _p.c.id == _b.c.project_id).where(_b.c.facts.is_not(None), _b.c.status != Status.DELETED)
    query = _of(kept, _b, project_id).group_by(_p.c.name, _b.c.cluster_name).order_by(_p.c.name, _b.c.cluster_name)
    return {(row.name, row.cluster_name): float(row.size) for row in connection.execute(query)}


def _of(query: Any, table: Any, project_id: str) -> Any:
    return query.where(table.c.project_id == project_id) if project_id else query


def _family(name: str, samples: dict[tuple[str, str], float]) -> Metric:
    family = GaugeMetricFamily(name, FAMILIES[name], labels=list(LABELS))
    for labels, value in samples.items():
        family.add_metric(list(labels), value)
    return family

"""What there is to look at: a cluster that serves, a backup, an operation that has failed, and what of them is a page."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts import datastore_agentless as databases
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import NodeHealth, Problem
from tests.component.api.test_backups import completed
from tests.component.api.test_scaling import nodes, serves
from tests.support.api import Api

NASTY = '<script>alert("x")</script>'
PROBLEM = Problem(step="install", message=f"apt-get failed {NASTY}", command=f"apt-get {NASTY}", stderr=f"E: {NASTY}", host="late-1",
                  what_to_do=f"mend {NASTY}")  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The ids of it."""

    cluster: str
    operation: str
    failed: str
    running: str
    backup: str

    @property
    def pages(self) -> list[str]:
        """Every page there is, with what a reader may not look at last."""
        return [*self.read, *self.changing]

    @property
    def owned(self) -> list[str]:
        """Pages of things that belong to a project."""
        return [path for path in self.pages if any(one in path for one in vars(self).values())]

    @property
    def read(self) -> list[str]:
        """Pages that only show."""
        return ["/", "/clusters", "/clusters?status=active", f"/clusters/{self.cluster}", "/clusters/new", f"/clusters/{self.cluster}/backups",
                "/operations", f"/operations?cluster={self.cluster}", f"/operations/{self.operation}", f"/operations/{self.failed}",
                f"/operations/{self.running}", f"/operations/{self.failed}/transcript", "/backups", f"/backups?cluster={self.cluster}",
                f"/backups/{self.backup}"]  # fmt: skip

    @property
    def changing(self) -> list[str]:
        """Pages that need to know what a change would do."""
        return [
            f"/clusters/{self.cluster}/delete",
            f"/backups/{self.backup}/delete",
            f"/clusters/new?backup={self.backup}",
        ]

    @property
    def forms(self) -> list[tuple[str, dict[str, str]]]:
        """Every form, filled in so that it does something."""
        wish = {"name": "new", "datastore": "pgsql 15", "size": "1"}
        return [
            ("/clusters/new", {**wish, "step": "plan"}),
            ("/clusters/new", {**wish, "step": "create"}),
            (f"/clusters/{self.cluster}/credentials", {}),
            (f"/clusters/{self.cluster}/protection", {"protect": "on"}),
            (f"/clusters/{self.cluster}/backups", {}),
            (f"/operations/{self.running}/cancel", {}),
            (f"/operations/{self.failed}/retry", {}),
            (f"/backups/{self.backup}/verify", {}),
            (f"/backups/{self.backup}/delete", {"name": "shop"}),
            (f"/clusters/{self.cluster}/delete", {"name": "shop"}),
        ]


def made(api: Api) -> Scene:
    """Make it. Wherever somebody else may put words, they are nasty ones."""
    cluster, operation = api.create(size=2)
    ids = nodes(api, cluster)
    serves(api, cluster, operation, *ids.values())
    backup = completed(api, cluster)
    late, failed = api.create("late")
    progressed(api, late, failed, status="failed", message=NASTY, stderr=NASTY)
    api.hear(databases.ClusterFailed(cluster_id=late, operation_id=failed, problem=PROBLEM))
    soon, running = api.create("soon")
    progressed(api, soon, running, message=NASTY)
    seen(api, cluster, ids)
    return Scene(cluster, operation, failed, running, backup)


def progressed(api: Api, cluster: str, operation: str, sequence: int = 1, **more: str) -> None:
    """A service says how far it is."""
    said = {"step": "install", "status": "running", "host": f"{NASTY}", **more}
    api.hear(OperationProgressed(operation_id=operation, cluster_id=cluster, service="datastore_agentless", kind="prepare_node",
                                 sequence=sequence, **said))  # fmt: skip


def seen(api: Api, cluster: str, ids: dict[str, str]) -> None:
    """The first node is well, the second one is behind."""
    now = api.database.clock.now().isoformat()
    found = [
        NodeHealth(instance_id=node, cluster_id=cluster, verdict="LAGGING" if number else "OK", message=NASTY if number else "",
                   seen_at=now, since=now, evidence={"ssh": "answers", "database": NASTY}, facts={"lag_seconds": 42.0 if number else None})
        for number, node in enumerate(ids.values())
    ]  # fmt: skip
    api.hear(databases.HealthSeen(nodes=tuple(found), occurred_at=api.database.clock.now()))

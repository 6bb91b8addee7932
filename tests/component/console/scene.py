"""What there is to look at: clusters that serve, stand still and have failed, what they have, and what of it is a page."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.contracts import datastore_agentless as databases
from shared.contracts import imports
from shared.contracts.accounts import AccountDatabase, AccountGrant, Accounts, AccountUser
from shared.contracts.operations import OperationEnded, OperationProgressed
from shared.contracts.parameters import INTEGER, TEXT, ParameterDefinition
from shared.contracts.schedules import Outcome, ScheduleRun
from shared.contracts.values import NodeHealth, Problem
from tests.component.api.test_backups import completed
from tests.component.api.test_exports import made as exported
from tests.component.api.test_imports import FACTS as IMPORTED
from tests.component.api.test_imports import begun as import_begun
from tests.component.api.test_imports import of_it
from tests.component.api.test_scaling import nodes, serves
from tests.component.api.test_schedules import create, tell, wishes
from tests.support.api import Api

NASTY = '<script>alert("x")</script>'
PROBLEM = Problem(step="install", message=f"apt-get failed {NASTY}", command=f"apt-get {NASTY}", stderr=f"E: {NASTY}", host="late-1",
                  what_to_do=f"mend {NASTY}")  # fmt: skip

# Names that somebody has made by hand, the second one with a slash in it.
ODD = 'x"><b>{0}&amp;'
SECTIONS = ("health", "day", "parameters", "parameters/history", "accounts", "schedules", "schedules/new")
# Every change that is shown as a plan first, with what its page is asked for so that there is one; `instance` is put in elsewhere.
PLANNED = {
    "stop": "", "restart": "step=plan&instance=", "switchover": "step=plan", "failover": "step=plan&accept_loss=on",
    "add-nodes": "step=plan&count=1", "resize": "step=plan&flavor=medium", "look": "", "create-database": "step=plan&name=orders",
    "delete-database": "database=goods", "create-user": "step=plan&name=bob&database=goods&privilege=read", "delete-user": "user=ann",
    "change-password": "user=ann", "grant": "step=plan&user=ann&database=goods&privilege=write", "revoke": "user=ann&database=goods",
    "enable-root": "", "disable-root": "", "rollback": "step=plan&version=0", "apply-group": "",
}  # fmt: skip
CHANGES = {
    "start": {}, "stop": {"typed": "shop"}, "restart": {"instance": ""}, "switchover": {"instance": ""},
    "failover": {"instance": "", "typed": "shop"}, "add-nodes": {"count": "1"}, "resize": {"flavor": "small"}, "look": {},
    "create-database": {"name": "orders"}, "delete-database": {"database": "goods", "typed": "goods"},
    "create-user": {"name": "bob", "privilege": "read"}, "delete-user": {"user": "ann", "typed": "ann"},
    "change-password": {"user": "ann"}, "grant": {"user": "ann", "database": "goods", "privilege": "write"},
    "revoke": {"user": "ann", "database": "goods"}, "enable-root": {}, "disable-root": {}, "rollback": {"version": "0"},
}  # fmt: skip
KNOWN = (
    ParameterDefinition(name="work_mem", kind=INTEGER, unit="kB", minimum="64", maximum="2147483647", default="4096",
                        suffixes={"kB": 1, "MB": 1024}, description=f"Memory of a sort {NASTY}"),
    ParameterDefinition(name="shared_memory", kind=INTEGER, default="16384", restart=True, description="Of all"),
    ParameterDefinition(name="archive_command", kind=TEXT, refused=f"it would run {NASTY}"),
)  # fmt: skip
LISTED = Accounts(
    databases=(AccountDatabase(name="goods"), AccountDatabase(name=ODD), AccountDatabase(name=NASTY)),
    users=(AccountUser(name="ann", grants=(AccountGrant(privilege="read", database="goods"),)),
           AccountUser(name=ODD, grants=(AccountGrant(privilege="all", database=ODD),)),
           AccountUser(name=NASTY, grants=(AccountGrant(privilege="all", database=NASTY),))),
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The ids of it."""

    cluster: str
    operation: str
    failed: str
    running: str
    backup: str
    asleep: str
    replica: str
    schedule: str
    project: str
    token: str
    export: str
    taken: str

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
        own = (
            f"/clusters/{self.cluster}",
            *(f"/clusters/{self.cluster}/{page}" for page in SECTIONS),
            self.at_schedule,
        )
        asleep = f"/clusters/{self.asleep}"
        return ["/", "/clusters", "/clusters?status=active", "/clusters/new", *own, f"/clusters/{self.cluster}/backups",
                f"/clusters/{self.cluster}/parameters?search=mem", asleep, f"{asleep}/parameters", f"{asleep}/accounts",
                "/operations", f"/operations?cluster={self.cluster}", f"/operations/{self.operation}", f"/operations/{self.failed}",
                f"/operations/{self.running}", f"/operations/{self.failed}/transcript", "/backups", f"/backups?cluster={self.cluster}",
                f"/backups/{self.backup}", "/exports", f"/exports?cluster={self.cluster}", f"/exports/{self.export}", "/imports",
                f"/imports?cluster={self.cluster}", f"/imports/{self.taken}", f"/instances/{self.replica}/logs", "/events",
                "/datastores", "/admin/projects"]  # fmt: skip

    @property
    def changing(self) -> list[str]:
        """Pages that need to know what a change would do."""
        return [
            f"/clusters/{self.cluster}/delete",
            f"/backups/{self.backup}/delete",
            f"/clusters/new?backup={self.backup}",
            f"/clusters/new?cluster={self.cluster}",
            f"/clusters/{self.cluster}/exports",
            f"/exports/{self.export}/delete",
            f"{self.change('import')}?step=plan&export={self.export}",
            *(f"{self.change(name)}?{chosen}" for name, chosen in PLANNED.items()),
            *(self.change(name) for name in ("restart", "switchover", "failover", "resize", "remove-node", "import")),
            f"{self.change('remove-node')}?step=plan&instance={self.replica}",
            self.change("start"),
            f"{self.at_schedule}/remove",
        ]

    @property
    def at_schedule(self) -> str:
        """The schedule's page."""
        return f"/clusters/{self.cluster}/schedules/{self.schedule}"

    def change(self, name: str) -> str:
        """Where a change is asked for, of the cluster that can have it."""
        return f"/clusters/{self.asleep if name == 'start' else self.cluster}/change/{name}"

    @property
    def offices(self) -> list[str]:
        """Pages of administrators."""
        return ["/admin", "/admin/audit", "/admin/audit?request=x", "/admin/tokens", f"/admin/tokens/{self.token}/revoke",
                f"/admin/projects/{self.project}"]  # fmt: skip

    @property
    def office_forms(self) -> list[tuple[str, dict[str, str]]]:
        """Every form of administrators, filled in so that it does something."""
        return [
            ("/admin/projects", {"name": "new"}),
            (f"/admin/projects/{self.project}", {"clusters": "7"}),
            ("/admin/tokens", {"name": "robot", "project": self.project, "role": "reader"}),
            (f"/admin/tokens/{self.token}/revoke", {}),
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
            *((self.change(name), fields) for name, fields in CHANGES.items()),
            (self.change("remove-node"), {"instance": self.replica, "typed": "shop-2"}),
            (f"/clusters/{self.cluster}/parameters", {"p.work_mem": "16MB", "step": "plan"}),
            (f"/clusters/{self.cluster}/parameters", {"p.work_mem": "16MB", "step": "change"}),
            (f"/clusters/{self.cluster}/schedules/new", {"cron": "0 4 * * *"}),
            (self.at_schedule, {"cron": "0 5 * * *"}),
            (f"{self.at_schedule}/pause", {"enabled": "off"}),
            (f"{self.at_schedule}/remove", {}),
            (f"/clusters/{self.cluster}/exports", {"databases": "goods, orders"}),
            (f"/exports/{self.export}/key", {}),
            (self.change("import"), {"export": self.export}),
            (f"/exports/{self.export}/delete", {"name": "shop"}),
            (f"/backups/{self.backup}/delete", {"name": "shop"}),
            (f"/clusters/{self.cluster}/delete", {"name": "shop"}),
        ]


def made(api: Api) -> Scene:
    """Make it. Wherever somebody else may put words, they are nasty ones."""
    cluster, operation = api.create(size=2)
    ids = nodes(api, cluster)
    serves(api, cluster, operation, *ids.values())
    backup = completed(api, cluster)
    has(api, cluster)
    export, taken = moved(api, cluster)
    late, failed = api.create("late")
    progressed(api, late, failed, status="failed", message=NASTY, stderr=NASTY)
    api.hear(databases.ClusterFailed(cluster_id=late, operation_id=failed, problem=PROBLEM))
    soon, running = api.create("soon")
    progressed(api, soon, running, message=NASTY)
    seen(api, cluster, ids)
    return Scene(
        cluster,
        operation,
        failed,
        running,
        backup,
        stopped(api),
        ids["shop-2"],
        scheduled(api, cluster, backup, operation),
        *office(api),
        export,
        taken,
    )


def has(api: Api, cluster: str) -> None:
    """Its engine has said what parameters there are, one of which is set, and what databases and users."""
    datastore = api.get(f"/v1/clusters/{cluster}")["datastore"]["id"]
    api.hear(
        databases.ParametersDefined(datastore_id=datastore, engine="15.7", definitions=KNOWN),
        databases.AccountsSeen(cluster_id=cluster, accounts=LISTED, seen_at=api.database.clock.now(), operation_id=""),
    )
    wish = api.ask("PATCH", f"/v1/clusters/{cluster}/parameters", {"parameters": {"work_mem": "8MB"}})
    assert wish.status_code == 202, wish.text
    settle(api, cluster)


def moved(api: Api, cluster: str) -> tuple[str, str]:
    """An export of it, which has come into it again, though not as it was."""
    export = exported(api, cluster)
    ids = import_begun(api, cluster, export)
    api.hear(imports.ImportCompleted(**ids, **of_it(), facts=replace(IMPORTED, differing=(NASTY,))))
    return export, ids["import_id"]


def scheduled(api: Api, cluster: str, backup: str, operation: str) -> str:
    """A schedule, whose last backup has failed."""
    made = create(api, cluster)
    run = ScheduleRun(
        due_at=api.database.clock.now(), outcome=Outcome.FAILED, message=NASTY, backup_id=backup, operation_id=operation
    )
    tell(api, wishes(api)[-1][1], last=run)
    return str(made["id"])


def office(api: Api) -> tuple[str, str]:
    """Another project, and a token of it, whose name is a nasty one."""
    project = api.project("far")
    made = api.ask("POST", "/v1/tokens", {"name": NASTY, "project": project, "role": "reader"}, token=api.admin)
    return project, str(made.json["id"])


def stopped(api: Api) -> str:
    """A cluster of another engine that stands still."""
    cluster, operation = api.create("asleep", datastore="redis 7.0")
    serves(api, cluster, operation, *nodes(api, cluster).values())
    stop = api.ask("POST", f"/v1/clusters/{cluster}/stop", {}).json["id"]
    api.hear(databases.ClusterStopped(cluster_id=cluster, operation_id=stop, result={}))
    return cluster


def settle(api: Api, *clusters: str) -> None:
    """What runs on them comes to a good end, and the next wish is not refused for it."""
    for cluster in clusters:
        if running := api.get(f"/v1/clusters/{cluster}")["operation"]:
            api.hear(OperationEnded(cluster_id=cluster, operation_id=running, status="succeeded", result={}))


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

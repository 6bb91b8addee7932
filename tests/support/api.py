"""The API without the rest of DTrove: the real app over a real database, and events told by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import falcon
import marshmallow as ma
from falcon.testing import Result, TestClient
from sqlalchemy import insert, select

from services.api.actions import access
from services.api.actions.hearing import hear
from services.api.app import make_app
from services.api.domain.limits import Limits
from services.api.http import Context
from services.api.observer import Ask, Observer
from services.api.openapi import PROBLEM, methods_of
from services.api.routes import ROUTES
from services.api.schemas import shown
from services.api.serving import call_of
from services.api.store import tables
from shared.clock import Clock
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import Event, dump, new_id
from shared.contracts.state import Disk, ProviderState, Revision, Sealing, ServiceState
from shared.contracts.values import Flavor
from shared.db import Database, Sealed, migrate
from shared.errors import Conflict, DtroveError, FieldError, Invalid, NotFound, Unavailable
from shared.secrets import Keyring, Secret, new_key

RING = Keyring((new_key(),))
# The first is one that a stranger's manager might be: it knows of no replicas.
DATASTORES = (("mysql", "10.11", ()), ("pgsql", "15", ("async", "sync")), ("redis", "7.0", ("async",)))
FLAVORS = (("small", 1, 512), ("medium", 2, 2048))
PASSWORD = "canary-password"
EXPORT_KEY = "AGE-SECRET-KEY-CANARY"
READER_URL = "https://store.invalid/all?signature=for-an-hour"


def open_database(url: str, clock: Clock | None = None) -> Database:
    """The API's database at `url`, brought up to date, with the default project in it."""
    Sealed.keyring = RING
    migrate.upgrade("api", url)
    made = Database(url, "api", tables.metadata, clock)
    access.bootstrap(made, "")
    return made


@dataclass
class FakeDatabases:
    """datastore_agentless, as far as the API asks it; `away` makes it unreachable.

    Exports lie in `files`, or in an object store. `samples` are what it has of nodes, each with its cluster.
    """

    away: bool = False
    files: list[str] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    in_object_store: bool = False
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer as the real one does."""
        self.asked.append(method)
        if self.away:
            raise Unavailable("datastore_agentless did not answer within 10 s")
        return getattr(self, f"_{method}")(*args, **kwargs)

    def _create_datastore(self, **values: Any) -> dict[str, Any]:
        if any(
            (one["manager"], one["version"]) == (values["manager"], values["version"]) for one in self.made.values()
        ):
            raise Conflict("it exists already")
        entry = {"id": new_id(), "deleted": False, **values}
        self.made[entry["id"]] = entry
        return dict(entry)

    def _update_datastore(self, datastore_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        self.made[datastore_id].update(changes)
        return dict(self.made[datastore_id])

    def _delete_datastore(self, datastore_id: str) -> dict[str, Any]:
        self.made[datastore_id]["deleted"] = True
        return dict(self.made[datastore_id])

    def _plan_create(self, spec: dict[str, Any]) -> dict[str, Any]:
        hosts = [{"host": name, "commands": [{"title": "install", "command": "apt-get install"}], "files": []}
                 for name in spec["names"]]  # fmt: skip
        moves = ["an address of the cluster's own"] if spec.get("addressed") else []
        return {"hosts": hosts, "restarts": [], "moves": moves, "lost": []}

    def _plan_nodes(self, spec: dict[str, Any]) -> dict[str, Any]:
        return self._plan_create(spec)

    def _plan_takeover(self, spec: dict[str, Any]) -> dict[str, Any]:
        changes = {"restarts": ["server shop-1: switched off"] if spec["fenced"] else [],
                   "moves": ["address 10.9.0.250: from shop-1 to shop-2"]}  # fmt: skip
        return self._plan_create({"names": ["shop-1", "shop-2"]}) | changes

    def _plan_parameters(self, spec: dict[str, Any]) -> dict[str, Any]:
        restarts = [f"the engine of {spec['cluster_id']}"] if spec["restart_now"] else []
        return self._plan_create({"names": ["shop-1"]}) | {"restarts": restarts}

    def _plan_resize(self, spec: dict[str, Any]) -> dict[str, Any]:
        return self._plan_create({"names": [f"{spec['volume_gb']} {(spec['flavor'] or {}).get('name', '')}".strip()]})

    def _plan_roll(self, spec: dict[str, Any]) -> dict[str, Any]:
        return self._plan_create({"names": [spec["action"]]})

    def _plan_restore(self, spec: dict[str, Any]) -> dict[str, Any]:
        return self._plan_create({"names": [spec["action"]]}) | {"moves": [spec["told"]] if spec.get("told") else []}

    def _plan_accounts(self, spec: dict[str, Any]) -> dict[str, Any]:
        lost = [f"database {one['database']}" for one in spec["changes"] if one["action"] == "delete_database"]
        assert not any(one["sealed_password"] for one in spec["changes"])
        return self._plan_create({"names": ["shop-1"]}) | {"lost": lost}

    def _plan_import(self, spec: dict[str, Any]) -> dict[str, Any]:
        contents = {"databases": ["shop"], "chosen_tables": [], "tables": [], "tables_total": 0, "rows": 7, "size_bytes": 9,
                    "volume_gb": 10, "there": ["shop"], "undone": "the databases that it makes are dropped again"}  # fmt: skip
        assert set(spec) == {"cluster_id", "export_id"}
        return self._plan_create({"names": ["shop-1"]}) | {"contents": contents}

    def _reseal(self) -> dict[str, Any]:
        return {"resealed": 0, "left": 0, "key": RING.newest}

    def _export_content(self, export_id: str) -> dict[str, Any]:
        if self.in_object_store:
            return {"sealed_url": RING.seal(Secret(READER_URL)), "files": []}
        return {"sealed_url": "", "files": list(self.files)}

    def _export_key(self, export_id: str) -> dict[str, str]:
        return {"sealed_key": RING.seal(Secret(EXPORT_KEY))}

    def _samples(self, cluster_id: str) -> list[dict[str, Any]]:
        return [one for one in self.samples if one["cluster"] == cluster_id]

    def _credentials(self, cluster_id: str) -> dict[str, str]:
        return {"username": "dtrove", "sealed_password": RING.seal(Secret(PASSWORD))}


@dataclass
class FakeProvisioner:
    """The provisioner, as far as the API asks it: `found` is what it has found, `cleaned` what it was to remove.

    What is to be removed is gone at the second look, or could not be removed where it is `stubborn`.
    """

    found: list[dict[str, Any]] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    lent: dict[str, dict[str, Any]] = field(default_factory=dict)
    stubborn: bool = False

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer as the real one does."""
        return getattr(self, f"_{method}")(*args, **kwargs)

    def find(self, thing: str, why: str = "unknown") -> None:
        """It finds a server."""
        self.found.append({
            "kind": "server", "id": thing, "instance_id": new_id(), "cluster_id": "", "why": why, "removal": "none",
            "message": f"the server {thing} is {why}", "found_at": "2026-01-01T00:00:00+00:00", "goes_by_itself": False,
        })  # fmt: skip

    def _orphans(self) -> list[dict[str, Any]]:
        seen = list(self.found)
        self.found = [one for one in seen if self.stubborn or one["removal"] != "under_way"]
        if self.stubborn:
            self.found = [one | {"removal": "failed"} if one["removal"] == "under_way" else one for one in seen]
        return seen

    def _clean_orphans(self, ids: list[str]) -> list[dict[str, Any]]:
        if missing := [one for one in ids if one not in [each["id"] for each in self.found]]:
            raise Invalid("nothing was removed", (FieldError("ids", f"{missing[0]} is no orphan"),))
        self.cleaned += ids
        self.found = [one | {"removal": "under_way"} if one["id"] in ids else one for one in self.found]
        return [one for one in self.found if one["id"] in ids]

    def _plan_import(self, spec: dict[str, Any]) -> dict[str, Any]:
        contents = {"databases": ["shop"], "chosen_tables": [], "tables": [], "tables_total": 0, "rows": 7, "size_bytes": 9,
                    "volume_gb": 10, "there": ["shop"], "undone": "the databases that it makes are dropped again"}  # fmt: skip
        assert set(spec) == {"cluster_id", "export_id"}
        return self._plan_create({"names": ["shop-1"]}) | {"contents": contents}

    def _reseal(self) -> dict[str, Any]:
        return {"resealed": 0, "left": 0, "key": RING.newest}

    def _delegate(self, project: str, kind: str, credential: str, secret: str, *, own: bool) -> dict[str, Any]:
        self.lent[project] = {"kind": kind, "credential_id": credential, "secret": secret, "own": own}
        return self._delegation(project)

    def _delegation(self, project: str) -> dict[str, Any]:
        if project not in self.lent:
            raise NotFound(f"project {project} has lent nothing")
        there = self.lent[project]
        return {"kind": there["kind"], "credential_id": there["credential_id"], "cloud_project": "c"}

    def _withdraw_delegation(self, project: str) -> None:
        self.lent.pop(project, None)


@dataclass
class FakeStates:
    """What each service says of itself, by its clock; a sentence in place of a state is why it does not answer."""

    clock: Clock
    said: dict[str, ServiceState | str] = field(default_factory=dict)
    ahead: dict[str, float] = field(default_factory=dict)
    broker: str = ""
    asked: int = 0
    wanted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("api", "datastore_agentless", "provisioner", "scheduler"):
            self.said[name] = self.well(name)

    def well(self, name: str, **more: Any) -> ServiceState:
        """The state of a service with which all is well, but for `more`."""
        has_keyring = name != "scheduler"
        own: dict[str, Any] = {
            "provider": ProviderState(name="fake", answers=True),
            "orphans": {"unknown": 0, "gone": 0},
        }
        return ServiceState(**{
            "service": name, "now": self.clock.now(), "revision": Revision(database="0001", code="0001", known=True),
            "has_keyring": has_keyring, "secrets": Sealing(total=3) if has_keyring else None,
            "disk": Disk(free_bytes=2**40, total_bytes=2**41), **(own if name == "provisioner" else {}), **more,
        })  # fmt: skip

    def change(self, name: str, **more: Any) -> None:
        """Something is the matter with a service."""
        self.said[name] = self.well(name, **more)

    def ask(self, name: str, operations: list[str]) -> dict[str, Any]:
        """Answer as a service does."""
        self.asked += 1
        self.wanted = operations
        said = self.said[name]
        if isinstance(said, str):
            raise Unavailable(said)
        return dump(replace(said, now=self.clock.now() + timedelta(seconds=self.ahead.get(name, 0.0))))

    def of_broker(self) -> None:
        """Answer as RabbitMQ does."""
        if self.broker:
            raise Unavailable(self.broker)


@dataclass
class Api:
    """The app, asked as a client does. Every answer is held against the schema that its route declares."""

    database: Database
    databases: FakeDatabases = field(default_factory=FakeDatabases)
    provisioner: FakeProvisioner = field(default_factory=FakeProvisioner)
    ready: dict[str, str] = field(default_factory=lambda: {"database": "ok"})
    limits: Limits = field(default_factory=Limits)
    keystone: access.Judge | None = None

    def __post_init__(self) -> None:
        self.states = FakeStates(self.database.clock)
        asking: dict[str, Ask] = {name: partial(self.states.ask, name) for name in self.states.said}
        self.observer = Observer(self.database, asking, self.states.of_broker)
        self.context = Context(
            database=self.database, databases=self.databases, provisioner=self.provisioner, observer=self.observer,
            seal=RING.seal, unseal=lambda token: RING.open(token).reveal(), max_cluster_size=5, ready=lambda: self.ready,
            reseal=self.databases._reseal, limits=self.limits, keystone=self.keystone,
        )  # fmt: skip
        self.app: falcon.App[Any, Any] = make_app(self.context)
        self._client = TestClient(self.app)
        self.admin, self.member, self.reader = (self.token(role) for role in ("admin", "member", "reader"))

    # Who asks

    def token(self, role: str, project: str = access.DEFAULT_PROJECT, expires_at: datetime | None = None) -> str:
        """A token of this role, straight into the database."""
        secret = f"token-{new_id()}"
        with self.database.write() as tx:
            tx.connection.execute(
                insert(tables.tokens).values(id=new_id(), hash=access.digest(secret), name=role, project_id=project,
                                             role=role, created_at=datetime.now(UTC), expires_at=expires_at)
            )  # fmt: skip
        return secret

    def project(self, name: str = "other") -> str:
        """Another project's id."""
        with self.database.write() as tx:
            return access.create_project(tx, name)

    # Asking

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str = "",
            headers: dict[str, str] | None = None, raw: bytes | None = None) -> Result:  # fmt: skip
        """One request, as a member unless a token is given; an empty one sends none. `raw` is a body as it stands."""
        sent = dict(headers or {})
        given = self.member if token is None else token
        if given:
            sent["Authorization"] = f"Bearer {given}"
        if key:
            sent["Idempotency-Key"] = key
        if body is not None:
            raw, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        answer = self._client.simulate_request(method, path, headers=sent, body=raw or b"")
        self._hold(method, path, answer)
        return answer

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.ask("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json

    def create(self, name: str = "shop", **wish: Any) -> tuple[str, str]:
        """Ask for a cluster; its id and the operation's."""
        answer = self.ask("POST", "/v1/clusters", {"name": name, "datastore": "pgsql 15", **wish})
        assert answer.status_code == 202, answer.text
        return answer.json["id"], answer.headers["Location"].rpartition("/")[2]

    def operation(self, operation_id: str) -> dict[str, Any]:
        """An operation as it stands."""
        return dict(self.get(f"/v1/operations/{operation_id}"))

    def _hold(self, method: str, path: str, answer: Result) -> None:
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        kind = (answer.headers.get("content-type") or "").partition(";")[0]
        assert answer.headers["x-request-id"]
        if answer.status_code >= 400 and kind != "application/json":
            assert kind == PROBLEM, (kind, answer.text)
            assert not shown.ProblemDetails().validate(answer.json), answer.text
            return
        schema = schema_of(method, path.partition("?")[0].rstrip("/"), answer.status_code)
        if schema is not None and kind == "application/json":
            assert not schema().validate(answer.json), (schema().validate(answer.json), answer.text)

    # What the other services say

    def hear(self, *events: Event) -> None:
        """Take events in, as they come from the bus."""
        for event in events:
            hear(self.database, event, self.context.changes)

    def know_choices(self) -> None:
        """Hear of datastores and flavors."""
        flavors = tuple(Flavor(id=name, name=name, vcpus=cpus, ram_mb=ram, disk_gb=10) for name, cpus, ram in FLAVORS)
        self.hear(
            provisioner.FlavorsListed(provider="fake", flavors=flavors, supports_volumes=True, supports_snapshots=False,
                                    supports_resize=True, supports_addresses=True),
            *(
                databases.DatastoreRegistered(
                    id=str(uuid5(NAMESPACE_URL, f"{manager} {version}")), manager=manager, version=version,
                    image="debian-12", packages=(manager,), name=f"{manager} - {version}", min_ram_mb=256, modes=modes,
                    dialect=manager,
                )
                for manager, version, modes in DATASTORES
            ),
        )  # fmt: skip

    def rows(self, table: str) -> list[Any]:
        """All rows of a table, by its key."""
        with self.database.read() as connection:
            wanted = self.database.metadata.tables[table]
            return list(connection.execute(select(wanted).order_by(*wanted.primary_key)).all())


def schema_of(method: str, path: str, status: int) -> type[ma.Schema] | None:
    """The schema that the route of `path` declares for this answer. Raises AssertionError for an undeclared status."""
    for template, resource, suffix in ROUTES:
        if _fits(template, path):
            responder = methods_of((template, resource, suffix)).get(method.lower())
            call = call_of(responder)
            assert call is not None, (method, path)
            if call.ranges and status in (206, 307):
                return None
            assert status == call.status or status in call.also, (method, path, status)
            return call.gives if status == call.status else call.also[status]
    raise AssertionError(f"no route for {path}")


def _fits(template: str, path: str) -> bool:
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(a == b or a.startswith("{") for a, b in zip(ours, theirs, strict=True))


__all__ = ["EXPORT_KEY", "PASSWORD", "READER_URL", "RING", "Api", "DtroveError", "FakeDatabases", "open_database"]

"""The real API over HTTP on SQLite, and stand-ins for what is behind it: other services that answer at once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import delete, select
from werkzeug.serving import WSGIRequestHandler, make_server

from services.api.actions.access import bootstrap
from services.api.actions.hearing import hear
from services.api.app import make_app
from services.api.changes import Changes
from services.api.http import Context
from services.api.observer import Ask, Observer
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import REGISTRY, Event, new_id
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Address, CommandResult, Endpoint, Flavor, Problem
from shared.db import Database, Sealed
from shared.db.reseal import reseal
from shared.errors import Failure
from shared.secrets import Keyring, KeyringFile, Secret, new_key, write_keyring
from tests.support.api import FakeProvisioner, FakeStates

TOKEN = "a-token-of-the-suite"
PASSWORD = "hushhush"
Answer = Callable[[Any], list[Event]]


class _Handler(WSGIRequestHandler):
    # Only so are streams sent in chunks, as eventlet's server does.
    protocol_version = "HTTP/1.1"

    connections: ClassVar[set[socket.socket]] = set()

    def setup(self) -> None:
        self.connections.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.connections.discard(self.request)
        with contextlib.suppress(OSError):
            super().finish()

    def log(self, *_: Any) -> None:
        """The suite's output is for results."""


class FakeRpc:
    """Another service's answers, by method."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers = answers

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.answers[method](*args, **kwargs)


class World:
    """An API to speak to. `answers` says, by topic, what the other services make of a wish."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.home = home
        write_keyring(home / "keyring", Keyring((new_key(),)))
        self.keyring = KeyringFile(home / "keyring")
        Sealed.keyring = self.keyring
        (home / "client.json").write_text(json.dumps({"token": TOKEN}))
        self.database = Database(f"sqlite:///{home}/api.sqlite", "api", tables.metadata)
        tables.metadata.create_all(self.database.engine)
        bootstrap(self.database, hashlib.sha256(TOKEN.encode()).hexdigest())
        self.changes = Changes()
        self.provisioner, self.states = FakeProvisioner(), FakeStates(self.database.clock)
        self.answers: dict[str, Answer] = {}
        self.exit_codes: dict[str, int] = {}
        self.planned: list[dict[str, Any]] = []
        # Where an export lies, and what opens it.
        self.content: dict[str, Any] = {"sealed_url": "", "files": []}
        self.export_key = Secret("")
        self.serve_cluster()
        self._learn()
        self._stopped = threading.Event()
        self.port = 0
        self.start_server()
        self._services = threading.Thread(target=self._answer_wishes, daemon=True)
        self._services.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hear(self, event: Event) -> None:
        """The API hears of something."""
        hear(self.database, event, self.changes)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Whether something becomes true in time."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            self._stopped.wait(0.02)
        return True

    def close(self) -> None:
        self._stopped.set()
        self._services.join()
        self.stop_server()
        self.database.engine.dispose()

    def start_server(self) -> None:
        """Listen; at the same port as before, after a stop."""
        self._server = make_server("127.0.0.1", self.port, make_app(self._context()), threaded=True,
                                   request_handler=_Handler)  # fmt: skip
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop_server(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(_Handler.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # What the other services do

    def serve_cluster(self) -> None:
        """Everything that is asked for succeeds."""
        self.answers = {
            "cluster.requested": lambda wish: [
                *(self.step(wish, step, status, percent) for step, status, percent in (
                    ("create server", "succeeded", 100), ("install", "running", 40), ("install", "succeeded", 100))),
                *(self.server(wish, ref.id) for ref in wish.instances),
                self.active(wish.cluster_id, wish.operation_id),
            ],
            "cluster.delete_requested": lambda wish: [
                databases.ClusterDeleted(cluster_id=wish.cluster_id, operation_id=wish.operation_id)
            ],
            "perform.requested": lambda wish: [
                *(self.step(wish, "run", "running", output=f"[node] run: {command}\n") for command in wish.commands),
                databases.PerformCompleted(
                    operation_id=wish.operation_id, cluster_id=wish.cluster_id, instance_id=wish.instance_id,
                    name=wish.name, results=tuple(CommandResult(command=one, exit_code=self.exit_codes.get(one, 0)) for one in wish.commands)),
            ],
        }  # fmt: skip

    def server(self, wish: Any, instance_id: str) -> Event:
        """A server is up."""
        return provisioner.InstanceActive(
            instance_id=instance_id, cluster_id=wish.cluster_id, operation_id=wish.operation_id, server="s-1",
            addr="10.9.0.2", user="root", host_key="ssh-ed25519 AAAA",
        )  # fmt: skip

    def active(self, cluster_id: str, operation_id: str) -> Event:
        """A cluster has come to its good end."""
        endpoint = Endpoint(
            primary=Address(host="10.9.0.2", port=5432), url="postgresql://dtrove@10.9.0.2:5432/postgres"
        )
        return databases.ClusterActive(cluster_id=cluster_id, operation_id=operation_id, endpoint=endpoint)

    def fail_cluster(self) -> None:
        """A cluster that is asked for fails."""
        problem = Problem(step="install", host="shop-1", message="`apt-get` ended with code 100", command="apt-get install",
                          stderr="E: no [such] package", what_to_do="mend the sources, then retry")  # fmt: skip
        self.answers["cluster.requested"] = lambda wish: [
            self.step(wish, "install", "failed", message=problem.message),
            databases.ClusterFailed(cluster_id=wish.cluster_id, operation_id=wish.operation_id, problem=problem),
        ]

    def leave(self, topic: str, *events: str) -> None:
        """Nobody answers a wish; a cluster that is asked for stays at its first step."""
        self.answers[topic] = lambda wish: [self.step(wish, step, "running") for step in events]

    def step(self, wish: Any, step: str, status: str, percent: int | None = None, **more: Any) -> Event:
        """A report of one step of a wish's operation."""
        return OperationProgressed(
            operation_id=wish.operation_id, cluster_id=wish.cluster_id, service="datastore_agentless", kind="prepare_node",
            step=step, status=status, percent=percent, host="shop-1", sequence=next(_SEQUENCE), **more,
        )  # fmt: skip

    def _answer_wishes(self) -> None:
        box = self.database.outbox
        while not self._stopped.wait(0.02):
            with self.database.write() as tx:
                rows = tx.connection.execute(select(box).order_by(box.c.id)).all()
                tx.connection.execute(delete(box).where(box.c.id.in_([row.id for row in rows])))
            for row in rows:
                wish = REGISTRY["api", row.routing_key].from_payload(json.loads(row.body))
                for event in self.answers.get(row.routing_key, lambda _: [])(wish):
                    self.hear(event)

    def _learn(self) -> None:
        for name, version, package in (("mysql", "10.11", "mariadb-server"), ("pgsql", "15", "postgresql-15")):
            self.hear(
                databases.DatastoreRegistered(id=new_id(), manager=name, version=version, image="debian-12",
                                              packages=(package,), name=f"{name} - {version}", min_ram_mb=256, dialect=name)
            )  # fmt: skip
        small = Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10)
        self.hear(provisioner.FlavorsListed(provider="fake", flavors=(small,), supports_volumes=True,
                                            supports_snapshots=False))  # fmt: skip

    def _context(self) -> Context:
        others = FakeRpc(
            export_content=lambda _: self.content,
            export_key=lambda _: {"sealed_key": self.keyring.seal(self.export_key)},
            credentials=lambda _: {"username": "dtrove", "sealed_password": self.keyring.seal(Secret(PASSWORD))},
            create_datastore=self._create_datastore, plan_create=_plan, plan_takeover=self._plan_takeover,
            plan_parameters=self._plan_parameters, plan_import=_plan_import,
            plan_roll=self._plan_takeover, plan_resize=self._plan_takeover,
            plan_restore=self._plan_takeover,
            reseal=lambda: {"resealed": 2, "left": 0, "key": self.keyring.current().newest},
            **{name: partial(self.provisioner.call, name) for name in ("delegate", "delegation", "withdraw_delegation")},
            orphans=partial(self.provisioner.call, "orphans"), clean_orphans=partial(self.provisioner.call, "clean_orphans"),
        )  # fmt: skip
        asking: dict[str, Ask] = {name: partial(self.states.ask, name) for name in self.states.said}
        return Context(
            observer=Observer(self.database, asking, self.states.of_broker),
            database=self.database, databases=others, provisioner=others, ready=lambda: {"database": "ok"},
            seal=self.keyring.seal, unseal=lambda token: self.keyring.open(token).reveal(), max_cluster_size=5, changes=self.changes,
            reseal=lambda: reseal(self.database, self.keyring),
        )  # fmt: skip

    def _create_datastore(self, **fields: Any) -> dict[str, Any]:
        if fields["manager"] == "nonsense":
            raise Failure("there is no datastore manager 'nonsense'", what_to_do="use one of mysql, pgsql")
        return {"id": new_id(), "deleted": False, **fields}

    def _plan_parameters(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.planned.append(spec)
        files = [{"path": "/etc/redis/redis.conf", "diff": "+timeout 7\n"}]
        return {"hosts": [{"host": "shop-1", "commands": [], "files": files}], "restarts": [], "moves": [], "lost": []}

    def _plan_takeover(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.planned.append(spec)
        promote = {"title": "take writes", "command": "pg_promote"}
        return {"hosts": [{"host": "shop-2", "commands": [promote], "files": []}], "lost": [],
                "restarts": ["server shop-1: switched off"], "moves": ["address 10.9.0.250: from shop-1 to shop-2"]}  # fmt: skip


def _plan(spec: dict[str, Any]) -> dict[str, Any]:
    command = {"title": "install", "command": "apt-get install\n-y it"}
    file = {"path": "/etc/it.conf", "diff": "+port = [1]", "mode": "0644", "owner": "root:root"}
    return {"hosts": [{"host": name, "commands": [command], "files": [file]} for name in spec["names"]], "restarts": [],
            "moves": [], "lost": []}  # fmt: skip


def _plan_import(_: dict[str, Any]) -> dict[str, Any]:
    contents = {"databases": ["shop"], "chosen_tables": [], "tables": [], "tables_total": 1, "rows": 7, "size_bytes": 3_000_000,
                "volume_gb": 7, "there": ["shop"], "undone": "the databases that it makes are dropped again"}  # fmt: skip
    return _plan({"names": ["shop-1"]}) | {"lost": ["keys"], "contents": contents}


def _count() -> Any:
    number = 0
    while True:
        number += 1
        yield number


_SEQUENCE = _count()

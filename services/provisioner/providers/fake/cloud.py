"""The cloud itself: servers, volumes, images and addresses as rows of SQLite, in memory or in a file that outlives a process.

Like a real cloud it checks no tags: asked twice for the same server, it makes two. Time comes from a clock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from shared.clock import Clock, SystemClock

BUSY_SECONDS = 10.0
_TABLES = """
create table if not exists servers (id text primary key, instance_id text, cluster_id text, name text, flavor text,
  fate text, power text, created_at real, epoch integer not null default 0);
create table if not exists volumes (id text primary key, instance_id text, cluster_id text, size_gb integer,
  server_id text not null default '');
create table if not exists images (id text primary key, server_id text, name text);
create table if not exists addresses (id text primary key, cluster_id text, instance_id text not null default '',
  epoch integer not null default 0);
"""


@dataclass(frozen=True)
class Server:
    """A server as the cloud keeps it. `fate` is active, error or stuck: what it comes to. `power` is on or off.

    `epoch` is that of who asked for it. `created_at` is a time to come for one that was accepted and that nobody is shown yet.
    """

    id: str
    instance_id: str
    cluster_id: str
    name: str
    flavor: str
    fate: str
    power: str
    created_at: float
    epoch: int = 0


@dataclass(frozen=True)
class Disk:
    """A volume as the cloud keeps it; `server_id` is empty while it is attached to nothing."""

    id: str
    instance_id: str
    cluster_id: str
    size_gb: int
    server_id: str


@dataclass(frozen=True)
class Place:
    """An address as the cloud keeps it; it leads to the server of `instance_id`, empty for nowhere, since `epoch` has said so."""

    id: str
    cluster_id: str
    instance_id: str
    epoch: int


class Cloud:
    """One cloud. `build_seconds` is how long a server takes to come up; `path` keeps it in a file."""

    def __init__(self, build_seconds: float = 0.2, path: Path | None = None, clock: Clock | None = None) -> None:
        self.build_seconds = build_seconds
        self.clock = clock or SystemClock()
        self._lock = threading.Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=BUSY_SECONDS)
        if path is not None:
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=off")
        self._db.executescript(_TABLES)
        if "epoch" not in {row[1] for row in self._db.execute("pragma table_info(servers)")}:
            self._db.execute("alter table servers add column epoch integer not null default 0")

    def add_server(
        self,
        instance_id: str,
        cluster_id: str,
        name: str,
        flavor: str,
        fate: str = "active",
        hidden: float = 0.0,
        epoch: int = 0,
    ) -> Server:
        """Accept a server; it is built from now on, or, unseen by anybody, in `hidden` seconds."""
        server = Server(
            f"server-{uuid4()}", instance_id, cluster_id, name, flavor, fate, "on", self._now() + hidden, epoch
        )
        with self._open() as db:
            db.execute("insert into servers values (?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(server).values()))
        return server

    def servers(self, instance_id: str | None = None) -> list[Server]:
        """The servers that carry this instance's tag, or all, as far as they are shown; the oldest first."""
        where, values = _tagged(instance_id)
        query = f"select * from servers{where} order by created_at, id"
        with self._open() as db:
            shown = [Server(*row) for row in db.execute(query, values)]
        return [one for one in shown if one.created_at <= self._now()]

    def state(self, server: Server) -> tuple[str, int]:
        """How far a server is: BUILD, ACTIVE, SHUTOFF or ERROR, and percent."""
        age = self._now() - server.created_at
        if age < self.build_seconds or server.fate == "stuck":
            share = age / self.build_seconds if self.build_seconds else 1.0
            return "BUILD", max(0, min(99, int(100 * share)))
        if server.fate == "error":
            return "ERROR", 0
        return ("ACTIVE" if server.power == "on" else "SHUTOFF"), 100

    def set_power(self, server: Server, power: str) -> None:
        """Switch a server `on` or `off`; one that comes back has no address any more but its own."""
        with self._open() as db:
            changed = db.execute(
                "update servers set power = ? where id = ? and power <> ?", (power, server.id, power)
            ).rowcount
            if changed and power == "on":
                db.execute("update addresses set instance_id = '' where instance_id = ?", (server.instance_id,))

    def set_flavor(self, server: Server, flavor: str) -> None:
        """Make a server one of another flavor."""
        with self._open() as db:
            db.execute("update servers set flavor = ? where id = ?", (flavor, server.id))

    def add_volume(self, instance_id: str, cluster_id: str, size_gb: int) -> Disk:
        """Make a volume."""
        disk = Disk(f"volume-{uuid4()}", instance_id, cluster_id, size_gb, "")
        with self._open() as db:
            db.execute("insert into volumes values (?, ?, ?, ?, ?)", tuple(vars(disk).values()))
        return disk

    def volumes(self, instance_id: str | None = None) -> list[Disk]:
        """The volumes that carry this instance's tag, or all."""
        where, values = _tagged(instance_id)
        with self._open() as db:
            return [Disk(*row) for row in db.execute(f"select * from volumes{where} order by id", values)]

    def extend(self, disk: Disk, size_gb: int) -> None:
        """Make a volume larger."""
        with self._open() as db:
            db.execute("update volumes set size_gb = max(size_gb, ?) where id = ?", (size_gb, disk.id))

    def attach(self, disk: Disk, server: Server) -> None:
        """Attach a volume to a server."""
        with self._open() as db:
            db.execute("update volumes set server_id = ? where id = ?", (server.id, disk.id))

    def add_image(self, server: Server, name: str) -> str:
        """Make an image of a server; return its id."""
        image = f"image-{uuid4()}"
        with self._open() as db:
            db.execute("insert into images values (?, ?, ?)", (image, server.id, name))
        return image

    def images(self) -> list[str]:
        """Names of the images that were made of servers."""
        with self._open() as db:
            return [str(row[0]) for row in db.execute("select name from images order by name")]

    def add_address(self, cluster_id: str) -> Place:
        """Set an address aside."""
        place = Place(f"sim-{uuid4().hex[:8]}.invalid", cluster_id, "", 0)
        with self._open() as db:
            db.execute("insert into addresses values (?, ?, ?, ?)", tuple(vars(place).values()))
        return place

    def addresses(self, cluster_id: str | None = None) -> list[Place]:
        """The addresses that carry this cluster's tag, or all."""
        where, values = _tagged(cluster_id, "cluster_id")
        with self._open() as db:
            return [Place(*row) for row in db.execute(f"select * from addresses{where} order by id", values)]

    def lead(self, place: Place, instance_id: str, epoch: int, allowed: Callable[[int], None] = lambda _: None) -> None:
        """Have an address lead to an instance's server. `allowed` is told under which epoch it was led last, and may raise."""
        with self._open() as db:
            found = db.execute("select epoch from addresses where id = ?", (place.id,)).fetchone()
            allowed(found[0] if found else 0)
            db.execute("update addresses set instance_id = ?, epoch = ? where id = ?", (instance_id, epoch, place.id))

    def release(self, cluster_id: str) -> None:
        """Delete the addresses that carry this cluster's tag."""
        with self._open() as db:
            db.execute("delete from addresses where cluster_id = ?", (cluster_id,))

    def remove(self, instance_id: str, allowed: Callable[[int], None] = lambda _: None) -> None:
        """Delete the servers and volumes that carry this instance's tag, as far as they are shown.

        `allowed` is told the latest epoch among the servers, and may raise.
        """
        with self._open() as db:
            latest = db.execute("select max(epoch) from servers where instance_id = ?", (instance_id,)).fetchone()[0]
            allowed(latest or 0)
            db.execute("delete from servers where instance_id = ? and created_at <= ?", (instance_id, self._now()))
            db.execute("delete from volumes where instance_id = ?", (instance_id,))

    def remove_one(self, kind: str, thing_id: str, tag: str) -> None:
        """Delete one server or volume, or one address, if it carries this tag: an instance's id, or a cluster's."""
        table, column = {"server": ("servers", "instance_id"), "volume": ("volumes", "instance_id"),
                         "address": ("addresses", "cluster_id")}[kind]  # fmt: skip
        with self._open() as db:
            gone = db.execute(f"delete from {table} where id = ? and {column} = ?", (thing_id, tag)).rowcount
            if kind == "server" and gone:
                db.execute("update volumes set server_id = '' where server_id = ?", (thing_id,))

    def _now(self) -> float:
        return self.clock.now().timestamp()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db


def _tagged(tag: str | None, column: str = "instance_id") -> tuple[str, tuple[str, ...]]:
    return ("", ()) if tag is None else (f" where {column} = ?", (tag,))

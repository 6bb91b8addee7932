"""A node that sends backups to stores and fetches them back: the suite's own sshd, with jobs and spools in a folder of its own."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import BackupStore, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.local import LocalStore
from services.datastore_agentless.backup_stores.s3.place import S3Place
from services.datastore_agentless.backup_stores.s3.store import S3Store
from services.datastore_agentless.backup_stores.swift.container import Container
from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from services.datastore_agentless.backup_stores.swift.store import SwiftStore
from services.datastore_agentless.backup_stores.transfer import Manner, Sent
from services.datastore_agentless.hosts.base import Script, Target
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from shared.cloud import CloudAccount
from shared.config import read
from shared.secrets import Secret
from tests.component.hosts.sshd import Sshd
from tests.support.s3 import BUCKET, S3
from tests.support.swift import Swift

KEY = "project/cluster/backup"
MB = 1024 * 1024
HASTY = Manner(patience=120, silence=30)


@dataclass(frozen=True)
class AgeKey:
    """A key pair of age's."""

    identity: Secret
    recipient: str

    @classmethod
    def make(cls) -> AgeKey:
        made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        recipient = next(line.split()[-1] for line in made.splitlines() if "public key" in line)
        return cls(Secret(made), recipient)


@dataclass
class Node:
    """Where the data are, and where they come back to. Each transfer is a task of its own, unless it has a name."""

    sshd: Sshd
    folder: Path
    key: AgeKey = field(default_factory=AgeKey.make)
    manner: Manner = HASTY
    _tasks: int = 0

    def __post_init__(self) -> None:
        self.pool = SshPool(PoolSettings(connect_timeout=15.0, breaker_first=0.1, breaker_cap=0.3))

    @property
    def target(self) -> Target:
        return self.sshd.target()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def back(self) -> Path:
        return self.folder / "back"

    @property
    def spools(self) -> Path:
        return self.folder / "dtrove" / "spools"

    def write(self, megabytes: int) -> None:
        """Data that no compression makes smaller."""
        subprocess.run(f"head -c {megabytes * MB} /dev/urandom > {self.data}", shell=True, check=True)

    def runner(self, task: str = "", **options: Any) -> HostRunner:
        self._tasks += 1
        values = {"pool": self.pool, "target": self.target, "task_id": task or f"task-{self._tasks}", "epoch": 1,
                  "transcript": Transcript("node-1"), "root": f"{self.folder}/dtrove", "memory": f"{self.folder}/memory"}  # fmt: skip
        return HostRunner(**{**values, **options})

    def run(self, script: Script, **options: Any) -> Any:
        return self.runner(**options).execute(script)

    def send(
        self, store: BackupStore, way: Sending, dump: str = "", target: Target | None = None, **options: Any
    ) -> Sent:  # fmt: skip
        """Have the data leave the node for the store; with what carries them, where something does."""
        with store.carried(target or self.target, KEY, way) as check:
            return self.run_send(way, dump, check=check, **options)

    def run_send(self, way: Sending, dump: str = "", **options: Any) -> Sent:
        """The node's part of that alone."""
        script = transfer.send(way, dump or f"cat {self.data}", self.key.recipient, "send", manner=self.manner)
        return self.run(script, **options)

    def store(self, store: BackupStore, key: str = KEY) -> tuple[Part, ...]:
        """Have a whole backup of them in the store."""
        way = store.begin(key, 12 * MB)
        with store.carried(self.target, key, way) as check:
            sent = self.run_send(way, check=check)
        store.finish(key, way.token, sent.parts, b"{}")
        return sent.parts

    def receive(
        self, store: BackupStore, parts: tuple[Part, ...], target: Target | None = None, **options: Any
    ) -> bytes:  # fmt: skip
        """Have them come back."""
        way = store.fetching(KEY, parts)
        with store.carried(target or self.target, KEY, way) as check:
            return self.fetch(way, check=check, **options)

    def fetch(self, way: Fetching, load: str = "", **options: Any) -> bytes:
        """The node's part of that alone."""
        identity = options.pop("identity", self.key.identity)
        script = transfer.receive(way, load or f"cat > {self.back}", identity, "receive", manner=self.manner)
        self.run(script, **options)
        return self.back.read_bytes()

    def left_behind(self) -> list[Path]:
        """What a transfer has left on the node, beside the job's own few files."""
        own = {"cmd", "pid", "stdout", "stderr", "rc", "run", "input", "ballast"}
        jobs = self.folder / "dtrove" / "jobs"
        beside = [path for path in jobs.glob("*/*") if path.name.split(".")[0] not in own] if jobs.exists() else []
        memory = self.folder / "memory"
        return beside + list(self.spools.glob("*")) + (list(memory.iterdir()) if memory.exists() else [])


class Shelf(ABC):
    """A store, and what can happen to what lies in it."""

    store: BackupStore

    @abstractmethod
    def holds(self) -> list[str]:
        """What there is, by name."""

    @abstractmethod
    def corrupt(self, parts: tuple[Part, ...], number: int) -> None:
        """Change one byte of a part."""

    @abstractmethod
    def lose(self, parts: tuple[Part, ...], number: int) -> None:
        """Have a part, or more, be missing."""

    @abstractmethod
    def vanish(self) -> None:
        """Have the store be led to a place of which nobody has ever heard, as by a volume that is not mounted."""


class LocalShelf(Shelf):
    def __init__(self, folder: Path, node: Node) -> None:
        self.folder = folder
        self.store = LocalStore("local", folder, part_bytes=5 * MB, spools=str(node.spools))

    def holds(self) -> list[str]:
        return [path.name for path in self.folder.glob("*/*/*/*")] if self.folder.exists() else []

    def corrupt(self, parts: tuple[Part, ...], number: int) -> None:
        path = self.folder / KEY / f"part-{number:06d}"
        path.write_bytes(_changed(path.read_bytes()))

    def lose(self, parts: tuple[Part, ...], number: int) -> None:
        (self.folder / KEY / f"part-{number:06d}").unlink()

    def vanish(self) -> None:
        empty = self.folder.with_name("empty")
        empty.mkdir()
        self.store = LocalStore("local", empty, part_bytes=5 * MB)


class S3Shelf(Shelf):
    """`url` is where the store and nodes find the server, where not at its own."""

    def __init__(self, s3: S3, url: str = "") -> None:
        self.s3 = s3
        self.place = S3Place(BUCKET, "dtrove", url or s3.url, "us-east-1", True, "one", Secret("two-canary"))
        self.store = S3Store("s3", self.place, part_bytes=5 * MB)

    def holds(self) -> list[str]:
        return self.s3.kept() + self.s3.uploads()

    def corrupt(self, parts: tuple[Part, ...], number: int) -> None:
        place = {"Bucket": BUCKET, "Key": f"dtrove/{KEY}/backup.zst.age"}
        body = self.s3.client.get_object(**place)["Body"].read()
        begin = sum(part.size for part in parts[: number - 1])
        self.s3.client.put_object(**place, Body=body[:begin] + _changed(body[begin:]))

    def lose(self, parts: tuple[Part, ...], number: int) -> None:
        self.s3.client.delete_object(Bucket=BUCKET, Key=f"dtrove/{KEY}/backup.zst.age")

    def vanish(self) -> None:
        self.store = S3Store("s3", replace(self.place, bucket="nowhere"), part_bytes=5 * MB)


class SwiftShelf(Shelf):
    """A container, looked at from behind as well; what DTrove has in it begins with `place.prefix`."""

    def __init__(self, place: SwiftPlace) -> None:
        self.store = SwiftStore("swift", place, part_bytes=5 * MB)
        self.place, self.prefix, self.behind = place, place.prefix, Container("swift", place)

    def holds(self) -> list[str]:
        return sorted(self.behind.listed(self.prefix))

    def corrupt(self, parts: tuple[Part, ...], number: int) -> None:
        name = self._part(number)
        self.behind.put(name, _changed(self.behind.get(name)))

    def lose(self, parts: tuple[Part, ...], number: int) -> None:
        self.behind.delete(self._part(number))

    def vanish(self) -> None:
        self.store = SwiftStore("swift", replace(self.place, container="nowhere"), part_bytes=5 * MB)

    def _part(self, number: int) -> str:
        listed = self.behind.listed(f"{self.prefix}/{KEY}/")
        (name,) = [one for one in listed if one.endswith(f"/part-{number:06d}")]
        return name


def shelf_in(swift: Swift, port: int = 0, **options: str) -> SwiftShelf:
    """A shelf in a Swift of the suite's; `port` is where nodes and the store find it, where not at its own."""
    return SwiftShelf(SwiftPlace("backups", "d trove", read(CloudAccount, {**swift.options(port), **options})))


def _changed(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]

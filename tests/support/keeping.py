"""A store in memory, an engine whose data it keeps, and what a host says once they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.datastore_agentless.backup_stores.base import BackupStore, Content, Damaged, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.datastores.base.dumping import Dumping, Mark
from services.datastore_agentless.datastores.base.increments import Increments
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from shared.errors import Failure, NotFound, Retryable
from shared.secrets import Secret

SUMS = ("aa" * 32, "bb" * 32)
TAKEN = Taken("some-name", "900")
# Who has this URL may write: it is to be found nowhere but on the host.
SECRET_URL = "https://store.invalid/part-1?signature=only-for-the-node"
READER_URL = "https://store.invalid/all?signature=for-an-hour"


class Killed(Exception):
    """A worker dies: nobody hears of what it was at, and its lease runs out."""


def sent() -> str:
    """What a host prints once all is sent: two parts, what its data remember of it, and what was counted: three tables, one of them busy."""
    tables = (
        ("shop", "public.orders", "5/1", 7, "42"),
        ("shop", "public.queue", "5/2", 0, "0"),
        ("shop", "public.two  words", "5/3", 0, ""),
    )
    said = ["tables\t3", *("\t".join(("table", base.encode().hex(), table.encode().hex(), word, str(rows), checksum, "."))
                           for base, table, word, rows, checksum in tables), "changed\t5/2", "end"]  # fmt: skip
    told = "".join(f"say {line}\n" for line in said)
    return f"part 1 700 {SUMS[0]} tag-1\npart 2 300 {SUMS[1]} tag-2\n{told}taken {TAKEN.name} {TAKEN.position}\nsize 5000\n"


def exported() -> str:
    """What a host prints once an export is sent: the same, with what was counted and the sum of both parts."""
    tables = (("shop", "public.orders", 7), ("shop", "public.two  words", 0))
    said = [f"say {json.dumps({'database': base, 'table': table, 'rows': rows})}\n" for base, table, rows in tables]
    return f"{''.join(said)}part 1 700 {SUMS[0]} tag-1\npart 2 300 {SUMS[1]} tag-2\nsize 5000\nsum {'cc' * 32}\n"


@dataclass
class Kept:
    """What a store keeps of one backup."""

    parts: Sequence[Part]
    manifest: bytes


class MemoryStore(BackupStore):
    """Obeys the port. `begun` and `kept` are by key; `away`: it does not answer; `lost` are parts that never came, by number.

    `meanwhile` is called once, before or after the method of this name, as in `finish` and `finished`.
    """

    def __init__(self, name: str = "local") -> None:
        super().__init__(name)
        self.begun: dict[str, str] = {}
        self.kept: dict[str, Kept] = {}
        self.away = False
        self.lost: set[int] = set()
        self.begins = 0
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def begin(self, key: str, stream_bytes: int, token: str = "") -> Sending:
        self._ask("begin")
        if not token:
            if key in self.kept:
                raise Failure(f"{key} is whole already; nothing is written over it")
            self.begins += 1
            token = f"beginning-{self.begins}"
        self.begun[key] = token
        return Sending(part_bytes=self.part_bytes, urls=Secret(SECRET_URL), token=token)

    def finish(self, key: str, token: str, parts: Sequence[Part], manifest: bytes) -> None:
        self._ask("finish")
        missing = [part.number for part in parts if part.number in self.lost]
        if missing:
            raise Failure(f"part {missing[0]} is not there")
        if self.begun.get(key) == token:
            self.kept[key] = Kept(parts, manifest)
            del self.begun[key]
        elif key not in self.kept:
            raise Failure("nothing was begun")
        self._after("finished")

    def abandon(self, key: str, token: str) -> None:
        self._ask("abandon")
        self.begun.pop(key, None)

    def fetching(self, key: str, parts: Sequence[Part]) -> Fetching:
        self._ask("fetching")
        if key not in self.kept or any(part.number in self.lost for part in parts):
            raise Damaged(f"the store has not all parts of {key}", key=key)
        return Fetching(parts=parts, urls=Secret(SECRET_URL))

    def content(self, key: str, parts: Sequence[Part], name: str) -> Content:
        self._ask("content")
        if key not in self.kept or any(part.number in self.lost for part in parts):
            raise Failure(f"the store has not all parts of {key}", what_to_do="export once more")
        return Content(url=Secret(f"{READER_URL}&name={name}"))

    def manifest(self, key: str) -> bytes:
        if key not in self.kept:
            raise NotFound(f"there is no {key}")
        return self.kept[key].manifest

    def remove(self, key: str) -> None:
        self._ask("remove")
        self.kept.pop(key, None)
        self._after("removed")

    def reach(self) -> None:
        self._ask("reach")

    def _ask(self, what: str) -> None:
        self._after(what)
        if self.away:
            raise Retryable(f"the store {self.name} does not answer")

    def _after(self, what: str) -> None:
        if happens := self.meanwhile.pop(what, None):
            happens()


class MemoryStores(Stores):
    """These stores, of which the first is the usual one."""

    def __init__(self, *stores: BackupStore) -> None:
        self._stores = {store.name: store for store in stores}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._stores)

    def get(self, name: str) -> BackupStore:
        if name not in self._stores:
            raise Failure(f"there is no backup store {name!r}")
        return self._stores[name]


class SomeDumping(Dumping):
    """The least that there is of an engine's data."""

    packages = ("engine-tools",)

    def mark(self, node: Instance) -> Script:
        said = yield Run("engine --where", title="see where the engine stands", changes=False,
                         sample='{"engine": "15.4", "position": "0/100", "at": "2026-11-30T00:00:00+00:00"}')  # fmt: skip
        return Mark(**json.loads(said.stdout))

    def size(self, node: Instance) -> Script:
        said = yield Run("engine --size", title="see how much there is", changes=False, sample="10000\n")
        return int(said.stdout)

    def sends(self, node: Instance) -> str:
        return "engine --dump"

    def receives(self, node: Instance) -> str:
        return "engine --load"

    def started(self, node: Instance) -> Script:
        yield from ()

    def take_over(self, node: Instance) -> Script:
        yield Run("engine --take-over", title="put the data of the backup in place")


class SomeIncrements(Increments):
    """The least that there is of an engine's changes. `others` are nodes whose data are others by now than those that were backed up."""

    others: set[str] = set()

    def remembers(self, node: Instance, base: Taken) -> Script:
        yield Run("engine --remembers", title="see whether the data remember the last backup", changes=False)
        return node.id not in self.others

    def sends(self, node: Instance, base: Taken) -> str:
        return f"engine --dump --since {base.position}"

    def receives(self, node: Instance, count: int) -> str:
        return f"engine --load --of {count}"


class ChangingDumping(SomeDumping):
    """The same, with increments. `version` is what the engine says of itself, where that is another one by now."""

    full_only = ""
    version = "15.4"

    @property
    def increments(self) -> SomeIncrements:
        return SomeIncrements(self.manager)

    def mark(self, node: Instance) -> Script:
        told: Mark = yield from super().mark(node)
        return replace(told, engine=self.version)

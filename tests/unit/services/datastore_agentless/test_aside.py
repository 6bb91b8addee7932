"""Data that change places, by the real shell on a folder of this machine: whatever is cut off, each of them is whole and comes back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.aside import FORMER, RESTORED, UNDONE, Aside
from services.datastore_agentless.datastores.base.dumping import Dumping
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Result, Run, Script

NODE = Instance(id="n", cluster_id="c", name="n")
ENTRY = Datastore(id="d", manager_class="x", manager="none", version="1", image="i", packages=[])


class Plain(Dumping):
    """An engine with a spool beside its data, and a list elsewhere that `stopped` changes."""

    beside = ("spool",)

    def mark(self, node: Instance) -> Script:
        yield from ()

    def sends(self, node: Instance) -> str:
        return ""

    def receives(self, node: Instance) -> str:
        return ""

    def stopped(self, node: Instance) -> Script:
        yield Run(f"echo 'the backup has it' > {self.outside[0]}", title="let in whom the backup lets in")

    def started(self, node: Instance) -> Script:
        yield from ()


class Host:
    """A folder with the data of an engine. `stops_before` is the title of the command before which it loses its power, once."""

    def __init__(self, place: Path) -> None:
        self.place, self.stops_before = place, ""
        manager = BaseManager(ENTRY)
        manager.process = "dtrove-no-such-process"
        manager.data_path = lambda instance: str(place / "with a blank")  # type: ignore[method-assign]
        self.dumping = Plain(manager)
        self.dumping.outside = (str(place / "users"),)
        self.aside = Aside(self.dumping)

    def run(self, script: Script) -> object:
        result: Result | None = None
        try:
            while True:
                command = next(script) if result is None else script.send(result)
                result = self._done(command) if isinstance(command, Run) else Result()
        except StopIteration as end:
            return end.value

    def _done(self, command: Run) -> Result:
        if command.title == self.stops_before:
            self.stops_before = ""
            raise CommandFailed("the power is gone", code=1)
        done = subprocess.run(["sh", "-c", command.line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command.title, done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)

    def make(self, name: str, word: str) -> None:
        (self.place / name).mkdir()
        (self.place / name / "data").write_text(word)

    def exchange(self, comes: str, goes: str) -> None:
        self.run(self.aside.exchange(NODE, comes=comes, goes=goes))

    @property
    def there(self) -> dict[str, str]:
        """Every set of data that there is, by what is behind the name of those that serve."""
        found = self.place.glob("with a blank*/data")
        return {one.parent.name.removeprefix("with a blank").lstrip("."): one.read_text() for one in found}

    @property
    def spool(self) -> str:
        spool = self.place / "with a blank.spool"
        return (spool / "piece").read_text() if (spool / "piece").exists() else ""

    @property
    def users(self) -> str:
        return (self.place / "users").read_text().strip()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    made.make("with a blank", "old")
    made.make("with a blank.restored", "new")
    (tmp_path / "with a blank.spool").mkdir()
    (tmp_path / "with a blank.spool" / "piece").write_text("of the old")
    (tmp_path / "users").write_text("as it was\n")
    yield made
    shutil.rmtree(tmp_path)


def test_the_data_change_places_and_take_along_what_belongs_to_them(host: Host) -> None:
    assert host.run(host.aside.lies_there(NODE)) is False
    host.exchange(RESTORED, FORMER)
    assert (host.there, host.spool, host.users) == ({"": "new", "former": "old"}, "", "the backup has it")
    assert host.run(host.aside.lies_there(NODE)) is True
    host.exchange(RESTORED, FORMER)
    assert host.there == {"": "new", "former": "old"}, "a second time changes nothing"


@pytest.mark.parametrize("back", [RESTORED, UNDONE])
def test_they_change_places_once_more_and_all_is_as_it_was(host: Host, back: str) -> None:
    host.exchange(RESTORED, FORMER)
    spool = host.place / "with a blank.spool"
    spool.mkdir()
    (spool / "piece").write_text("of the new")
    host.exchange(FORMER, back)
    assert (host.there, host.spool, host.users) == ({"": "old", back: "new"}, "of the old", "as it was")
    host.exchange(back, FORMER)
    assert (host.there, host.spool) == ({"": "new", "former": "old"}, "of the new")
    host.exchange(FORMER, back)
    host.run(host.aside.drop(NODE, RESTORED, UNDONE))
    assert (host.there, host.spool, host.users) == ({"": "old"}, "of the old", "as it was")
    assert sorted(one.name for one in host.place.iterdir()) == ["users", "with a blank", "with a blank.spool"]


@pytest.mark.parametrize("moment", ["keep what belongs to the data", "let in whom the backup lets in",
                                    "exchange the data for those that are restored"])  # fmt: skip
def test_what_loses_its_power_is_ended_by_whoever_comes_next_or_taken_back(host: Host, moment: str) -> None:
    host.stops_before = moment
    with pytest.raises(CommandFailed):
        host.exchange(RESTORED, FORMER)
    host.exchange(FORMER, RESTORED)
    assert (host.there, host.spool) == ({"": "old", "restored": "new"}, "of the old")
    assert host.users == "as it was"
    host.exchange(RESTORED, FORMER)
    assert host.there == {"": "new", "former": "old"}


def test_between_the_two_renamings_it_goes_on_either_way(host: Host) -> None:
    data = host.place / "with a blank"
    data.rename(host.place / "with a blank.former")
    host.exchange(RESTORED, FORMER)
    assert host.there == {"": "new", "former": "old"}
    data.rename(host.place / "with a blank.restored")
    host.exchange(FORMER, RESTORED)
    assert host.there == {"": "old", "restored": "new"}


def test_what_was_never_fetched_changes_no_places(host: Host) -> None:
    host.run(host.aside.drop(NODE, RESTORED))
    host.exchange(RESTORED, FORMER)
    assert (host.there, host.spool) == ({"": "old"}, "of the old")

"""Exports on the command line: made, shown, downloaded, deleted."""

from __future__ import annotations

import hashlib
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyrage
import pytest

from client.downloads import BLOCK
from client.exits import Exit
from shared.contracts import exports
from shared.contracts.base import Event, new_id
from shared.contracts.exports import ExportedTable
from shared.contracts.values import Problem
from shared.secrets import Secret
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
# What nothing makes smaller.
DATA = random.Random(1).randbytes(4 * BLOCK)
FULL_STORE = Problem(step="send", message="the store answers 507", what_to_do="make room")


class Exporter:
    """datastore_agentless, which makes an export at once, of three parts beside DTrove, unless there is a `problem`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        folder.mkdir()
        self.wishes: list[Any] = []
        self.problem: Problem | None = None
        self.kept = b""
        world.answers["export.requested"] = self.make
        world.answers["export.delete_requested"] = self.remove

    def make(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids = {name: getattr(wish, name) for name in ("export_id", "cluster_id", "operation_id")}
        if self.problem is not None:
            return [exports.ExportFailed(**ids, problem=self.problem)]
        of_it = {"instance_id": new_id(), "project_id": wish.project_id, "store": "local"}
        packed = subprocess.run(["zstd", "-qc"], input=DATA, capture_output=True, check=True).stdout
        if wish.encrypted:
            identity = pyrage.x25519.Identity.generate()
            self.world.export_key = Secret(str(identity))
            packed = pyrage.encrypt(packed, [identity.to_public()])
        self.kept, third, names = packed, len(packed) // 3, []
        for number, piece in enumerate((packed[:third], packed[third:100], packed[max(third, 100) :]), 1):
            (self.folder / str(number)).write_bytes(piece)
            names.append(str(self.folder / str(number)))
        self.world.content = {"sealed_url": "", "files": names}
        facts = exports.ExportFacts(
            engine="15.7", begun_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:00:09Z", size_bytes=len(DATA),
            stored_bytes=len(packed), sha256=hashlib.sha256(packed).hexdigest(), file="shop-1.sql.zst", restore="psql -d shop",
            databases=("shop",), tables=(ExportedTable(database="shop", table="public.orders", rows=7),), tables_total=1, rows=7,
        )  # fmt: skip
        return [
            exports.ExportStarted(**ids, **of_it),
            self.world.step(wish, "send", "succeeded", 100),
            exports.ExportCompleted(**ids, **of_it, facts=facts),
        ]

    def remove(self, wish: Any) -> list[Event]:
        ids = {name: getattr(wish, name) for name in ("export_id", "cluster_id", "operation_id")}
        return [exports.ExportDeleted(**ids)]


@pytest.fixture
def exporter(world: World, dtrove: Dtrove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    """A cluster that serves, a service that exports, and a folder to download to."""
    assert dtrove("cluster", "create", "shop", "--datastore", "pgsql", "--volume-gb", "7", "--wait").code == 0
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Exporter(world, tmp_path / "store")


def test_an_export_is_made_step_by_step_and_shown_with_the_line_that_restores_it(
    exporter: Exporter, dtrove: Dtrove
) -> None:
    done = dtrove("export", "create", "shop", "--database", "shop", "--table", "orders", "--table", "s.t", "--wait")
    assert done.code == 0, done.err
    assert "send" in done.err
    assert "age -d -i shop-1.key shop-1.sql.zst.age | zstd -dc | psql -d shop" in " ".join(done.out.split())
    (wish,) = exporter.wishes
    assert (wish.databases, wish.tables, wish.format, wish.encrypted) == (("shop",), ("orders", "s.t"), "sql", True)
    made = dtrove("export", "show", "shop", "--json").json
    assert made["facts"]["tables"] == [{"database": "shop", "table": "public.orders", "rows": 7}]
    head, row = dtrove("export", "list").out.splitlines()[:2]
    assert head.split()[:4] == ["cluster", "status", "format", "of"]
    assert row.split()[:3] == ["shop", "completed", "sql"]
    assert dtrove("export", "list", "shop", "--json").json[0]["id"] == made["id"]


def test_an_export_that_fails_says_why_and_what_no_engine_has_is_refused(exporter: Exporter, dtrove: Dtrove) -> None:
    exporter.problem = FULL_STORE
    done = dtrove("export", "create", "shop", "--wait", "--json")
    assert (done.code, done.json["status"]) == (Exit.FAILED, "failed")
    assert "make room" in done.err
    assert dtrove("export", "create", "shop", "--format", "rdb").code == Exit.REFUSED
    assert dtrove("export", "download", "shop").code == Exit.NOT_FOUND


def test_a_download_is_decrypted_and_says_how_it_is_restored(exporter: Exporter, dtrove: Dtrove) -> None:
    dtrove("export", "create", "shop", "--wait")
    done = dtrove("export", "download", "shop")
    assert (done.code, done.out) == (0, "shop-1.sql.zst\n"), done.err
    assert "zstd -dc shop-1.sql.zst | psql -d shop" in done.err
    got = subprocess.run(["zstd", "-dc", "shop-1.sql.zst"], capture_output=True, check=True).stdout
    assert got == DATA
    assert [one.name for one in Path().iterdir()] == ["shop-1.sql.zst"], "nothing else is left"
    assert Path("shop-1.sql.zst").stat().st_mode & 0o077 == 0
    assert dtrove("export", "download", "shop").code == Exit.CONFLICT, "what is there already is not written over"


def test_a_download_that_stays_encrypted_has_its_key_beside_it_and_the_line_works(
    exporter: Exporter, dtrove: Dtrove
) -> None:
    dtrove("export", "create", "shop", "--wait")
    done = dtrove("export", "download", "shop", "--encrypted", "--json").json
    assert (done["file"], done["key"]) == ("shop-1.sql.zst.age", "shop-1.key")
    assert Path("shop-1.sql.zst.age").read_bytes() == exporter.kept
    assert Path("shop-1.key").stat().st_mode & 0o077 == 0
    line = done["command"].replace("psql -d shop", "cat")
    assert subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout == DATA


def test_one_that_was_never_encrypted_is_as_it_is(exporter: Exporter, dtrove: Dtrove, tmp_path: Path) -> None:
    dtrove("export", "create", "shop", "--no-encrypt", "--wait")
    done = dtrove("export", "download", "shop", "--output", str(tmp_path / "a file"), "--json").json
    assert done["command"] == f"zstd -dc '{tmp_path}/a file' | psql -d shop"
    assert (tmp_path / "a file").read_bytes() == exporter.kept


def test_a_download_goes_on_where_an_earlier_one_has_ended(exporter: Exporter, dtrove: Dtrove) -> None:
    dtrove("export", "create", "shop", "--wait")
    Path(".shop-1.sql.zst.part").write_bytes(exporter.kept[:70])
    assert dtrove("export", "download", "shop").code == 0
    asked = [one for one in _audited(exporter.world) if one == "export.read"]
    assert len(asked) == 1


def test_what_is_not_as_it_was_exported_is_not_kept(exporter: Exporter, dtrove: Dtrove) -> None:
    dtrove("export", "create", "shop", "--wait")
    Path(".shop-1.sql.zst.part").write_bytes(b"x" * 70)
    done = dtrove("export", "download", "shop")
    assert (done.code, "SHA-256" in done.err, [one.name for one in Path().iterdir()]) == (Exit.FAILED, True, [])


class Elsewhere(BaseHTTPRequestHandler):
    """An object store that breaks off once in the middle, and knows ranges."""

    body = b""
    headers_seen: list[dict[str, str]] = []
    breaks = 1

    def do_GET(self) -> None:
        kind = type(self)
        kind.headers_seen.append(dict(self.headers))
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        rest = kind.body[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if kind.breaks:
            kind.breaks -= 1
            rest = rest[: 2 * BLOCK + 50]
        self.wfile.write(rest)

    def log_message(self, *_: Any) -> None:
        """The suite's output is for results."""


@pytest.fixture
def elsewhere(exporter: Exporter) -> Iterator[type[Elsewhere]]:
    """An object store, of this test alone."""
    kind = type("Elsewhere", (Elsewhere,), {"headers_seen": [], "breaks": 1})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/all?signature=x"
    exporter.world.answers["export.requested"] = lambda wish: _moved(exporter, wish, kind, url)
    yield kind
    server.shutdown()
    server.server_close()


def _moved(exporter: Exporter, wish: Any, kind: type[Elsewhere], url: str) -> list[Event]:
    said = exporter.make(wish)
    kind.body = exporter.kept
    exporter.world.content = {"sealed_url": exporter.world.keyring.seal(Secret(url)), "files": []}
    return said


def test_what_lies_in_an_object_store_is_had_there_without_the_token_also_when_the_line_breaks(
    elsewhere: type[Elsewhere], dtrove: Dtrove
) -> None:
    dtrove("export", "create", "shop", "--wait")
    done = dtrove("export", "download", "shop")
    assert done.code == 0, done.err
    assert subprocess.run(["zstd", "-dc", "shop-1.sql.zst"], capture_output=True, check=True).stdout == DATA
    assert [one.get("Range") for one in elsewhere.headers_seen] == [None, f"bytes={2 * BLOCK}-"]
    assert not any("Authorization" in one for one in elsewhere.headers_seen)


def test_an_export_is_deleted_once_that_is_said_twice(exporter: Exporter, dtrove: Dtrove) -> None:
    dtrove("export", "create", "shop", "--wait")
    export = dtrove("export", "show", "shop", "--json").json["id"]
    assert dtrove("export", "delete", "shop", "--yes").code == Exit.NOT_FOUND, "a cluster's name is no export's"
    done = dtrove("export", "delete", export, "--yes", "--wait")
    assert (done.code, "deleted" in done.out) == (0, True)
    assert (
        dtrove("export", "list").out.strip() == "there are no exports" or "no exports" in dtrove("export", "list").err
    )


def _audited(world: World) -> list[str]:
    with world.database.read() as connection:
        audit = world.database.metadata.tables["audit"]
        return [row.action for row in connection.execute(audit.select())]

"""The carrier: a process that brings the parts of one backup from a node's spool into a folder, or back, over one long SSH session.

    python -m services.datastore_agentless.backup_stores.local.carrier LIFE

Its errand comes as JSON on standard input. It works until the descriptor LIFE closes, and begins a new session whenever one
ends; the node alone knows what is still to come, so there is nothing to remember. What it fails with for good, it writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from services.datastore_agentless.backup_stores.local.disk import on_disk
from services.datastore_agentless.backup_stores.local.lines import CHUNK, UNREACHED, Line, LineDropped, Login
from services.datastore_agentless.backup_stores.local.node import give, take
from services.datastore_agentless.hosts.base import Target
from shared.errors import DtroveError, Failure, Retryable
from shared.secrets import Secret

PAUSE, PAUSE_CAP = 0.2, 30.0
# As patient as the job on the node.
PATIENCE_SECONDS = 6 * 3600.0
# A node that ends the script so many times running without a word will not do otherwise the next time.
DEAF = 4
_PART = re.compile(r"part ((\d{6})-(\d{1,12})-([0-9a-f]{64}))")


@dataclass(frozen=True)
class Carrier:
    """Carries between `folder` and the `spool` of `target`: parts come in, of `part_bytes` at most, or else the files `sources` go out."""

    target: Target
    folder: Path
    spool: str
    spooled: int
    part_bytes: int
    sources: Sequence[str]

    def carry(self) -> None:
        """For ever, session after session. Raises Failure for what will not mend, Retryable after six hours without a word."""
        login, heard_at, pause, deaf = Login(self.target), time.monotonic(), PAUSE, 0
        while True:
            dropped, heard = self._session(login)
            if heard:
                heard_at, pause, deaf = time.monotonic(), PAUSE, 0
            elif dropped.code != UNREACHED:
                deaf += 1
            if deaf >= DEAF:
                raise Failure(f"{self.target.name} cannot be carried from: {dropped} (code {dropped.code})",
                              what_to_do="see that DTROVE_PREFIX and the login shell let `sh` run")  # fmt: skip
            if time.monotonic() - heard_at > PATIENCE_SECONDS:
                raise Retryable(f"{self.target.name} cannot be reached: {dropped}")
            time.sleep(pause)
            pause = min(PAUSE_CAP, pause * 2)

    def _session(self, login: Login) -> tuple[LineDropped, bool]:
        """One session: why it has ended, and whether the node had said anything."""
        with Line(self.target, login) as line:
            try:
                if self.part_bytes:
                    line.write(give(self.spool).encode())
                    self._fetch(line)
                line.write(take(self.spool, self.spooled, len(self.sources)).encode())
                self._serve(line)
            except LineDropped as dropped:
                return dropped, line.heard

    def _serve(self, line: Line) -> Never:
        while True:
            word, _, number = line.read_line().partition(" ")
            if word == "want" and number.isdecimal() and 0 < int(number) <= len(self.sources):
                self._bring(line, int(number))

    def _bring(self, line: Line, number: int) -> None:
        path = self.folder / self.sources[number - 1]
        try:
            with path.open("rb") as file:
                line.write(b"%d\n" % os.fstat(file.fileno()).st_size)
                while piece := file.read(CHUNK):
                    line.write(piece)
        except OSError as error:
            raise Failure(f"part {number} cannot be read in the store: {error.strerror}",
                          what_to_do=f"see what became of {path}") from error  # fmt: skip

    def _fetch(self, line: Line) -> Never:
        """Parts come one after the other; each is made safe while the next one comes already."""
        last: Future[None] | None = None
        with ThreadPoolExecutor(1) as safe:
            try:
                while True:
                    found = _PART.fullmatch(line.read_line())
                    if found is None:
                        continue
                    name, number, size, sha256 = found.groups()
                    draft = self._receive(line, int(number), int(size), sha256)
                    last = safe.submit(self._keep, line, draft, f"part-{number}.{sha256}", name)
            except LineDropped:
                # Where the last part could not be kept, that has ended the session.
                if last:
                    last.result()
                raise

    def _receive(self, line: Line, number: int, size: int, sha256: str) -> Path:
        if size > self.part_bytes:
            raise Failure(f"{self.target.name} offers a part of {size} bytes where {self.part_bytes} are the most")
        draft, seen, rest = self.folder / f".new-{os.getpid()}-{number}", hashlib.sha256(), size
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                while rest:
                    piece = line.read(rest)
                    seen.update(piece)
                    rest -= len(piece)
                    file.write(piece)
        except OSError as error:
            raise self._unkept(number, error) from error
        if seen.hexdigest() != sha256:
            raise Failure(f"part {number} is not as {self.target.name} had noted it: its SHA-256 is another",
                          what_to_do="look at the node's disk, then back up once more")  # fmt: skip
        return draft

    def _keep(self, line: Line, draft: Path, kept_as: str, name: str) -> None:
        """The node lets go of a part once this one is on the disk, and its name too."""
        try:
            on_disk(draft)
            draft.replace(self.folder / kept_as)
            on_disk(self.folder)
        except OSError as error:
            line.end()
            raise self._unkept(int(name[:6]), error) from error
        line.write(f"have {name}\n".encode())

    def _unkept(self, number: int, error: OSError) -> Failure:
        return Failure(f"part {number} cannot be kept in {self.folder}: {error.strerror}",
                       what_to_do="make room there, and see that DTrove may write to it, then retry")  # fmt: skip


def _target(told: dict[str, Any]) -> Target:
    jump = _target(told["jump"]) if told["jump"] else None
    secrets = {name: Secret(told[name]) for name in ("private_key", "passphrase")}
    return Target(**{**told, **secrets, "jump": jump})


def _end_with(life: int) -> None:
    """Whoever started this has ended, or wants it to end: so do all that it has started."""
    os.read(life, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Carry what standard input says."""
    told = json.load(sys.stdin)
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    errand = told["errand"]
    try:
        Carrier(_target(told["target"]), Path(errand.pop("folder")), **errand).carry()
    except (DtroveError, OSError, ValueError) as error:
        words = {
            "message": str(error),
            "what_to_do": getattr(error, "what_to_do", ""),
            "passing": isinstance(error, Retryable),
        }
        os.write(sys.stdout.fileno(), json.dumps(words).encode())
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()

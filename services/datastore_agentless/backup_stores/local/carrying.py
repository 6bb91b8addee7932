"""Starts a carrier beside the service, and watches it: a process of its own, for the bytes of a backup go through no event loop.

It is told its errand by a file in memory and answers by another; one end of a pipe stays here. When that closes, because the block
has ended or this process has, the carrier ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.datastore_agentless.backup_stores.local.memory import in_memory
from services.datastore_agentless.hosts.base import Target
from shared.errors import DtroveError, Failure, Retryable

ROOT = Path(__file__).parents[4]
END_SECONDS = 10.0
# Nothing that the service was given reaches its child.
_HANDED_ON = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Errand:
    """What to carry: into `folder` from a node's `spool`, parts of `part_bytes` at most; or, without that, its files `sources` there."""

    folder: Path
    spool: str
    spooled: int
    part_bytes: int = 0
    sources: tuple[str, ...] = ()


@contextlib.contextmanager
def carrying(target: Target, errand: Errand) -> Iterator[Callable[[], None]]:
    """Within this block a carrier runs. Gives what raises once it has failed; so does the block's end."""
    carrier = _Carrier(target, errand)
    try:
        yield carrier.check
        carrier.check()
    finally:
        carrier.end()


class _Carrier:
    """One process, and what it has to say."""

    def __init__(self, target: Target, errand: Errand) -> None:
        self._name = target.name
        self._answer = os.memfd_create("answer")
        request = in_memory("request", json.dumps({"target": _spoken(target), "errand": _errand(errand)}).encode())
        theirs, self._ours = os.pipe()
        command = [sys.executable, "-m", "services.datastore_agentless.backup_stores.local.carrier", str(theirs)]
        environ = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(command, stdin=request, stdout=self._answer, pass_fds=(theirs,), cwd=ROOT,
                                             env=environ, start_new_session=True)  # fmt: skip
        except OSError as error:
            os.close(self._ours)
            os.close(self._answer)
            raise Retryable(f"no carrier could be started: {error.strerror}") from error
        finally:
            os.close(request)
            os.close(theirs)

    def check(self) -> None:
        """Raises what it has failed with, where it has."""
        code = self._process.poll()
        if code is not None:
            raise self._why(code)

    def end(self) -> None:
        """Have it end, and wait for that."""
        os.close(self._ours)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._answer)

    def _why(self, code: int) -> DtroveError:
        said = os.pread(self._answer, 65_536, 0).decode(errors="replace")
        try:
            told = json.loads(said)
            kind = Retryable if told["passing"] else Failure
            return kind(told["message"], what_to_do=told["what_to_do"])
        except (ValueError, KeyError, TypeError):
            return Retryable(f"the carrier to {self._name} has ended by itself, with code {code}")


def _errand(errand: Errand) -> dict[str, Any]:
    return {"folder": str(errand.folder), "spool": errand.spool, "spooled": errand.spooled,
            "part_bytes": errand.part_bytes, "sources": errand.sources}  # fmt: skip


def _spoken(target: Target) -> dict[str, Any]:
    """A target as JSON, with its secrets: for the carrier's eyes alone."""
    return {
        "name": target.name, "addr": target.addr, "port": target.port, "user": target.user, "prefix": target.prefix,
        "private_key": target.private_key.reveal(), "passphrase": target.passphrase.reveal(),
        "known_host": target.known_host, "jump": _spoken(target.jump) if target.jump else None,
    }  # fmt: skip

"""Addresses that are set aside for clusters: a file for each, by the cluster's id, so that any process finds them again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reserved:
    """A cluster's address. `holder` is the instance whose host it was put on last, empty for none yet.

    `started` says with which start of that host: one that was started again since does not have it. `epoch` is that of the claim
    under which it was put there.
    """

    cluster_id: str
    addr: str
    holder: str = ""
    started: str = ""
    epoch: int = 0


def every(home: Path) -> list[Reserved]:
    """All of an installation."""
    found = (_read(path) for path in sorted(_place(home).glob("*.json")))
    return [one for one in found if one is not None]


def find(home: Path, cluster_id: str) -> Reserved | None:
    """A cluster's, or None."""
    return _read(_file(home, cluster_id))


def put(home: Path, reserved: Reserved) -> None:
    """Store one, new or changed: whole, or not at all."""
    path = _file(home, reserved.cluster_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps(asdict(reserved)))
    draft.replace(path)


def drop(home: Path, cluster_id: str) -> None:
    """Forget a cluster's; fine when there is none."""
    _file(home, cluster_id).unlink(missing_ok=True)


def drop_all(home: Path) -> list[str]:
    """Forget all; returns what went."""
    names = [f"address {one.addr}" for one in every(home)]
    shutil.rmtree(_place(home), ignore_errors=True)
    return names


def _read(path: Path) -> Reserved | None:
    try:
        return Reserved(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _file(home: Path, cluster_id: str) -> Path:
    return _place(home) / f"{cluster_id}.json"


def _place(home: Path) -> Path:
    return home / "addresses"

"""Brings the file of an export to this machine: piece after piece, seen to be whole, and opened with its key."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import requests

from client.exits import Exit
from client.http import CONNECT_SECONDS, SILENCE_SECONDS, Api, ApiError

BLOCK = 1024 * 1024
# So many times running a line may break without a byte having come.
TRIES = 6
PARTIAL = 206


@dataclass(frozen=True)
class Download:
    """One file: `size` bytes with this SHA-256, to be had at `path` of the API, or where that leads to."""

    api: Api
    path: str
    size: int
    sha256: str

    def into(self, place: Path) -> None:
        """Have it at `place`, going on with what an earlier try has left there. Raises ApiError."""
        tries = 0
        place.touch(0o600)
        while (has := _size(place)) < self.size:
            self._go_on(place, has)
            tries = tries + 1 if _size(place) <= has else 0
            if tries >= TRIES:
                raise ApiError(f"the line breaks again and again; {place} has {has} of {self.size} bytes: try again",
                               Exit.UNAVAILABLE)  # fmt: skip
            if tries:
                time.sleep(0.2 * 2**tries)
        if _sha256(place) != self.sha256:
            place.unlink()
            raise ApiError("what has come is not what was exported: its SHA-256 is another; nothing of it is kept",
                           Exit.FAILED)  # fmt: skip

    def _go_on(self, place: Path, has: int) -> None:
        try:
            with (
                self._answer(has) as answer,
                os.fdopen(_for_me_alone(place, goes_on=answer.status_code == PARTIAL), "wb") as file,
            ):
                for block in answer.iter_content(BLOCK):
                    file.write(block)
        except requests.RequestException:
            # What came is kept: the next try begins there.
            return

    def _answer(self, begin: int) -> requests.Response:
        headers = {"Range": f"bytes={begin}-", "If-Range": f'"{self.sha256}"'} if begin else {}
        answer = self.api.stream(self.path, headers)
        if not answer.is_redirect:
            return answer
        answer.close()
        # The store knows nothing of the token; its own word for the file, which it would hold an If-Range against, is another.
        headers.pop("If-Range", None)
        elsewhere = requests.get(answer.headers["Location"], headers=headers, stream=True,
                                 timeout=(CONNECT_SECONDS, SILENCE_SECONDS))  # fmt: skip
        if not elsewhere.ok:
            raise ApiError(f"the store answers {elsewhere.status_code} {elsewhere.reason}", Exit.UNAVAILABLE)
        return elsewhere


def fetch(api: Api, export: dict[str, Any], place: Path, *, opened: bool) -> None:
    """Have an export's file at `place`; with `opened` decrypted by its key. Raises ApiError."""
    facts, beside = export["facts"], place.with_name(f".{place.name}.part")
    path = f"/v1/exports/{export['id']}"
    Download(api, f"{path}/content", facts["stored_bytes"], facts["sha256"]).into(beside)
    if not opened:
        beside.replace(place)
        return
    identity = pyrage.x25519.Identity.from_str(api.get(f"{path}/key")["key"])
    draft = place.with_name(f".{place.name}.open")
    # Made first, for it is as secret as the key.
    os.close(_for_me_alone(draft))
    try:
        pyrage.decrypt_file(str(beside), str(draft), [identity])
    except pyrage.DecryptError as error:
        draft.unlink()
        raise ApiError(f"the export's own key does not open {beside}: {error}", Exit.FAILED) from error
    draft.replace(place)
    beside.unlink()


def keep_key(api: Api, export: dict[str, Any], folder: Path) -> Path:
    """Write an export's key beside it, for nobody else to read; returns where."""
    found = api.get(f"/v1/exports/{export['id']}/key")
    place = folder / str(found["file"])
    with os.fdopen(_for_me_alone(place), "w") as file:
        file.write(f"{found['key']}\n")
    return place


def _for_me_alone(place: Path, *, goes_on: bool = False) -> int:
    """A file to write to, which nobody else reads: from its end on, or anew."""
    return os.open(place, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if goes_on else os.O_TRUNC), 0o600)


def _size(place: Path) -> int:
    return place.stat().st_size


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What pages need beside themselves: the style, and two scripts. Read once, and known by their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import falcon

FOLDER = Path(__file__).parent / "static"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
# The address has the content's digest in it: another content has another address.
KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file: its kind, its bytes, and where it is."""

    kind: str
    content: bytes
    url: str


class Assets:
    """`/static/{name}`: the files of one folder, and nothing else."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._known = {
            path.name: _asset(path) for path in sorted(folder.iterdir()) if path.suffix in KINDS and path.is_file()
        }

    def url(self, name: str) -> str:
        """Where a file is."""
        return self._known[name].url

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """A file."""
        found = self._known.get(name)
        if found is None:
            raise falcon.HTTPRouteNotFound
        response.content_type, response.data = found.kind, found.content
        response.set_header("Cache-Control", KEPT)


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(KINDS[path.suffix], content, f"/static/{path.name}?v={hashlib.sha256(content).hexdigest()[:12]}")

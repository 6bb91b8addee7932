"""The content of exports over HTTP: from where it lies, with ranges. What lies in an object store is had from there."""

from __future__ import annotations

import base64

import falcon
from falcon import Request, Response

from services.api.actions import audit, exports
from services.api.domain.ranges import NoSuchBytes, Span, wanted
from services.api.filed import Filed
from services.api.http import Context
from services.api.serving import BYTES, serves
from services.api.store import export_views


class ExportContent:
    """`/v1/exports/{id}/content`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", media=(BYTES,), ranges=True, conflicts=True)
    def on_get(self, request: Request, response: Response, export_id: str) -> None:
        """The file, whole or the bytes that `Range` asks for; that it was read is written down.

        What lies in a store that speaks S3 is had there: the answer is 307, with a URL that is good for an hour.
        """
        who = request.context.caller
        with self._context.database.read() as connection:
            row = exports.whole(connection, who.project_id, export_id)
        found = self._context.databases.call("export_content", export_id)
        with self._context.database.write() as tx:
            audit.note(tx, who, "export.read", export_id)
        response.set_header("Cache-Control", "no-store")
        if found["sealed_url"]:
            response.status = 307
            response.set_header("Location", self._context.unseal(found["sealed_url"]))
            return
        size, tag = row.facts["stored_bytes"], f'"{row.facts["sha256"]}"'
        filed = Filed.found(found["files"], size, row.store)
        span = _span(request, size, tag)
        part = span or Span(0, size - 1)
        response.content_type, response.downloadable_as = BYTES, export_views.file_name(row)
        response.set_headers({"Accept-Ranges": "bytes", "ETag": tag, "Repr-Digest": _digest(row.facts["sha256"])})
        if span is not None:
            response.status = 206
            response.set_header("Content-Range", f"bytes {span.first}-{span.last}/{size}")
        response.set_stream(self._context.traffic.stream(who.token_id, filed.read(part)), part.length)


def _span(request: Request, size: int, tag: str) -> Span | None:
    """Which bytes are asked for; None for all. Raises HTTPRangeNotSatisfiable."""
    unless_other = request.get_header("If-Range")
    if unless_other is not None and unless_other != tag:
        return None
    try:
        return wanted(request.get_header("Range"), size)
    except NoSuchBytes as error:
        raise falcon.HTTPRangeNotSatisfiable(
            size, title="There are no such bytes", description=f"the file has {size} bytes"
        ) from error


def _digest(sha256: str) -> str:
    """A SHA-256 as RFC 9530 has it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"

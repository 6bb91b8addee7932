"""Middleware that writes every change into the audit, also those that were refused."""

from __future__ import annotations

import logging

import falcon

from services.api.actions import audit
from shared.db import Database
from shared.errors import Unavailable

CHANGES = frozenset(("POST", "PUT", "PATCH", "DELETE"))
# What the table has room for.
SUBJECT = 64
log = logging.getLogger(__name__)


class Auditing:
    """Goes after authentication: whoever has no token has changed nothing, and the log has the attempt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _ok: bool
    ) -> None:
        """One line for each request that changes something; what only plans changes nothing."""
        who = getattr(request.context, "caller", None)
        if who is None or request.method not in CHANGES or getattr(request.context, "query", {}).get("plan"):
            return
        status = falcon.http_status_to_code(response.status)
        action = f"{request.method} {request.uri_template or 'no such path'}"
        try:
            with self._database.write() as tx:
                audit.note(tx, who, action, _subject(request, response), status)
        except Unavailable as error:
            # The answer is made: what was done is in the log of requests all the same.
            log.warning("%s by %s was not written into the audit: %s", action, who.token_id, error)


def _subject(request: falcon.Request, response: falcon.Response) -> str:
    """The last id of the path; for what was made, its own."""
    ids: dict[str, str] = getattr(request.context, "ids", None) or {}
    if ids:
        # What has no id is known by its name, and by whose it is.
        named = [value for name, value in ids.items() if not name.endswith("_id")]
        return "/".join([next(iter(ids.values())), *named])[:SUBJECT] if named else list(ids.values())[-1]
    made = response.media if isinstance(response.media, dict) else {}
    return str(made.get("id", ""))

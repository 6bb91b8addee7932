"""What a project lends DTrove over HTTP: the right to make its servers in a project of the cloud that is its own."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api import schemas
from services.api.actions.access import Caller
from services.api.http import Context
from services.api.schemas import operating
from services.api.serving import serves
from services.api.store import tables
from shared.errors import NotFound
from shared.secrets import Secret


class Delegation:
    """`/v1/projects/{id}/delegation`; one's own, or any for an administrator."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=operating.Delegation)
    def on_get(self, request: Request, response: Response, project_id: str) -> None:
        """What a project has lent, without its secret."""
        self._see(request.context.caller, project_id)
        response.media = self._context.provisioner.call("delegation", project_id)

    @serves(role="member", takes=schemas.DelegationPut, gives=operating.Delegation, conflicts=True)
    def on_put(self, request: Request, response: Response, project_id: str) -> None:
        """Lend an application credential or a trust, in place of what was lent before; it is tried at once.

        From a user of Keystone's it has to be of the project that the request's token is for.
        """
        self._see(request.context.caller, project_id)
        asked: dict[str, Any] = request.context.asked
        secret = self._context.seal(Secret(asked["secret"])) if asked["secret"] else ""
        response.media = self._context.provisioner.call(
            "delegate",
            project_id,
            asked["kind"],
            asked["credential_id"],
            secret,
            own=request.context.credential.of_keystone,
        )

    @serves(role="member", status=204, conflicts=True)
    def on_delete(self, request: Request, response: Response, project_id: str) -> None:
        """Take it back, once nothing of DTrove's is there any more."""
        self._see(request.context.caller, project_id)
        self._context.provisioner.call("withdraw_delegation", project_id)

    def _see(self, who: Caller, project_id: str) -> None:
        """Raise NotFound for a project that is not there, or that is none of the caller's business."""
        t = tables.projects
        with self._context.database.read() as connection:
            there = connection.execute(select(t.c.id).where(t.c.id == project_id)).first()
        if there is None or (who.role != "admin" and project_id != who.project_id):
            raise NotFound(f"there is no project {project_id}")

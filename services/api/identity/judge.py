"""Turns a token of Keystone's into a caller: its project becomes one of ours at first sight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import select

from services.api.actions.access import Caller
from services.api.identity.keystone import Identity, Keystone
from services.api.identity.policy import Policy
from services.api.store import tables
from shared import keystone
from shared.db import Database
from shared.errors import Forbidden


@dataclass(frozen=True)
class KeystoneJudge:
    """Over one Keystone; see `Callers` for how long its word counts."""

    database: Database
    keystone: Keystone
    policy: Policy

    def __call__(self, token: str) -> tuple[Caller, datetime | None]:
        """The caller behind a token, and when it ends. Raises Unauthorized, Forbidden, Unavailable."""
        identity = self.keystone.validate(token)
        role = self.policy.role_of(identity)
        if not role:
            raise Forbidden(
                f"user {identity.user} has no role in project {identity.project} that lets DTrove be used",
                what_to_do="ask the project's administrator for the role member or reader",
            )
        caller = Caller(
            _token_id(identity), self._project(identity), role, user=f"{identity.user} ({identity.user_id})"
        )
        return caller, identity.expires_at

    def _project(self, identity: Identity) -> str:
        """The id of the project with us: Keystone's own, in the form that ids have here."""
        project_id, p = keystone.project_id(identity.project_id), tables.projects
        with self.database.read() as connection:
            known = connection.execute(select(p.c.id).where(p.c.id == project_id)).first()
        if known is None:
            # Names are one's own within a domain only; ours must be told apart from those that DTrove's users give.
            name = f"{identity.domain}/{identity.project}"[:200]
            with self.database.write() as tx:
                for each in (name, f"{name} ({project_id})"):
                    if tx.insert_new(p, id=project_id, name=each, created_at=self.database.clock.now()):
                        break
        return project_id


def _token_id(identity: Identity) -> str:
    """Tokens come and go by the hour; limits and audit go by who asks."""
    return str(uuid5(NAMESPACE_URL, f"keystone:{identity.user_id}:{identity.project_id}"))

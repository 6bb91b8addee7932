"""Stored secrets over HTTP: never themselves, only the keys they are sealed with."""

from __future__ import annotations

from falcon import Request, Response

from services.api.http import Context
from services.api.idempotency import Answer, once_elsewhere
from services.api.schemas import operating
from services.api.serving import action


class Reseal:
    """`/v1/secrets/reseal`; an administrator's right."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @action(role="admin", gives=operating.Resealed, conflicts=True)
    def on_post(self, request: Request, response: Response) -> None:
        """Have each service seal some of its secrets anew, with the newest key of its keyring.

        Repeat it until nothing is left anywhere; only then may old keys go.
        """
        context = self._context

        def work() -> Answer:
            states = {
                "api": context.reseal(),
                "datastore_agentless": context.databases.call("reseal"),
                "provisioner": context.provisioner.call("reseal"),
            }
            return 200, {"services": states}, ""

        once_elsewhere(context, request, response, work)

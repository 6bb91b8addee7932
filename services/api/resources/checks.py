"""How everything is, over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api.http import Context
from services.api.schemas import operating
from services.api.serving import serves


class Checks:
    """`/v1/check`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", gives=operating.Checks)
    def on_get(self, request: Request, response: Response) -> None:
        """Every dependency and everything that may be stuck, judged at this moment; each with what to do about it.

        All services are asked at once; one that does not answer costs three seconds.
        """
        found = [
            {"name": one.name, "status": one.status, "message": one.message, "what_to_do": one.what_to_do}
            for one in self._context.look.checks()
        ]
        response.media = {"checks": found}

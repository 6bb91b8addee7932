"""What the provider holds and the database knows nothing of, over HTTP; an administrator's business."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api import schemas
from services.api.actions import audit
from services.api.http import Context
from services.api.idempotency import Answer, once_elsewhere
from services.api.schemas import operating
from services.api.serving import serves


class Orphans:
    """`/v1/orphans` and `/v1/orphans/clean`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", gives=operating.Orphans)
    def on_get(self, request: Request, response: Response) -> None:
        """What the provider held and should not when it was last looked at, and servers of instances that are gone.

        The provisioner is asked, which looks at the provider every few seconds.
        """
        response.media = {"orphans": _shown(self._context.provisioner.call("orphans")), "next": None}

    @serves(role="admin", takes=schemas.OrphansClean, gives=operating.Orphans, status=202, conflicts=True)
    def on_post_clean(self, request: Request, response: Response) -> None:
        """Remove things by their ids. What has become somebody's meanwhile stays.

        What no instance here has ever had may be another installation's: look before you ask.
        """
        ids = list(dict.fromkeys(request.context.asked["ids"]))

        def work() -> Answer:
            filed = self._context.provisioner.call("clean_orphans", ids)
            _note(self._context, request, ids)
            return 202, {"orphans": _shown(filed), "next": None}, ""

        once_elsewhere(self._context, request, response, work)


def _note(context: Context, request: Request, ids: list[str]) -> None:
    with context.database.write() as tx:
        for one in ids:
            audit.note(tx, request.context.caller, "orphans.clean", one)


def _shown(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {"instance_id": "instance", "cluster_id": "cluster"}
    return [{names.get(name, name): value for name, value in one.items()} for one in found]

"""Databases, users and the superuser of a cluster, as its server listed them last."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web.asking import Refused
from services.api.web.changes.accounts import WITH_DATABASES
from services.api.web.console import Console, asks

NOT_KEPT = 409


class Accounts:
    """`/clusters/{id}/accounts`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """What there is, or why there is nothing for an engine of this kind."""
        asking, found, refused = asks(request), None, ""
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        try:
            found = asking.get(f"/v1/clusters/{cluster_id}/accounts")
        except Refused as error:
            if error.status != NOT_KEPT:
                raise
            refused = error.detail
        self._console.pages.live(
            request, response, "accounts.html", "parts/accounts.html", cluster=cluster, accounts=found, refused=refused,
            has_databases=cluster["datastore"]["manager"] in WITH_DATABASES,
        )  # fmt: skip

"""What clusters can be made of: datastores and flavors."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web.console import Console, asks


class Catalogue:
    """`/datastores`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """Every version that can be chosen, with what it is made of, and every size of server."""
        asking = asks(request)
        self._console.pages.show(
            request, response, "catalogue.html", datastores=asking.get("/v1/datastores")["datastores"],
            flavors=asking.get("/v1/flavors")["flavors"],
        )  # fmt: skip

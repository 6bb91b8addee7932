"""Which of the two answers a request: the API, or the console."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from services.api.web.asking import WsgiApp


class Front:
    """A WSGI application before two. `of_api` and `of_console` are the first parts of the paths that each of them has.

    Of what neither has, the console tells browsers, and the API everybody else.
    """

    def __init__(self, api: WsgiApp, console: WsgiApp, of_api: Collection[str], of_console: Collection[str]) -> None:
        self._api, self._console = api, console
        self._of_api, self._of_console = frozenset(of_api), frozenset(of_console)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer, as PEP 3333 has it."""
        application = self._console if self._is_for_people(environ) else self._api
        return application(environ, start_response)

    def _is_for_people(self, environ: Mapping[str, Any]) -> bool:
        first = str(environ.get("PATH_INFO", "")).lstrip("/").partition("/")[0]
        if first in self._of_api:
            return False
        return first in self._of_console or "text/html" in str(environ.get("HTTP_ACCEPT", ""))

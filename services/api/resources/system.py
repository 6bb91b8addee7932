"""What is asked of the API itself: health, readiness, metrics, and its own description."""

from __future__ import annotations

from typing import Any

from falcon import MEDIA_TEXT, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from services.api.docs_page import page
from services.api.http import RETRY_SECONDS, Context, nodes_seen_by
from services.api.schemas import operating
from services.api.serving import HTML, serves

# The page of the documentation is one file: its own style, no script, nothing from elsewhere.
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class Health:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="", gives=operating.Health)
    def on_get(self, request: Request, response: Response) -> None:
        """Whether the process answers."""
        response.media = {"status": "ok"}

    @serves(role="", gives=operating.Readiness, also={503: operating.Readiness})
    def on_get_ready(self, request: Request, response: Response) -> None:
        """Whether it can work, with each dependency's state: `ok`, or what is missing.

        `notices` says what was last seen of the whole of DTrove, each as `ok` or a sentence; none of them makes it unready.
        """
        checks = self._context.ready()
        good = all(state == "ok" for state in checks.values())
        response.media = {"status": "ok" if good else "unready", "checks": checks,
                          "notices": self._context.look.notices()}  # fmt: skip
        if not good:
            response.status = 503
            response.set_header("Retry-After", str(RETRY_SECONDS))

    @serves(role="", media=(MEDIA_TEXT,))
    def on_get_metrics(self, request: Request, response: Response) -> None:
        """Numbers for Prometheus, in its text format.

        Each node is there for whoever sends a token: those of its project, or for an administrator all.
        """
        response.content_type = CONTENT_TYPE_LATEST
        nodes_of = nodes_seen_by(self._context, request)
        response.data = self._context.metrics.text(self._context.database, self._context.look.last, nodes_of)


class Description:
    """`/v1/openapi.json` and `/docs`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @serves(role="")
    def on_get(self, request: Request, response: Response) -> None:
        """This document."""
        response.media = self._document

    @serves(role="", media=(HTML,))
    def on_get_page(self, request: Request, response: Response) -> None:
        """The same for people."""
        response.content_type = HTML
        response.set_header("Content-Security-Policy", DOCS_POLICY)
        response.text = page(self._document)

"""What administrators do: look at the whole, and at who did what; projects with their quotas, and tokens."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web.asking import Asking, Refused
from services.api.web.changes.base import number
from services.api.web.console import Console, asks, form, go, query

PER_PAGE = 50
AMOUNTS = {"clusters": "Clusters", "instances": "Nodes of all clusters", "volume_gb": "GB of all volumes together", "backups": "Backups",
           "backup_gb": "GB that is kept of all backups together"}  # fmt: skip
# So many pages of a hundred tokens are looked through for one.
MOST_PAGES = 20
_WRONG = (409, 422)


class Checks:
    """`/admin`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """Everything that `dtrove check` looks at, and what to do. It asks all services: nothing has it done again by itself."""
        self._console.pages.show(request, response, "checks.html", checks=asks(request).get("/v1/check")["checks"])


class Audit:
    """`/admin/audit`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of who did what, newest first, all or of one project or one request."""
        asked = {name: request.get_param(name) or "" for name in ("project", "request")}
        page = asks(request).get("/v1/audit", limit=PER_PAGE, marker=request.get_param("marker") or "", **asked)
        self._console.pages.live(
            request,
            response,
            "audit.html",
            "parts/audit.html",
            lines=page["audit"],
            following=query(page["next"]),
            asked=asked,
        )


class Projects:
    """`/admin/projects`, and each of them."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of projects, and the form for another one."""
        self._show(request, response)

    def on_post(self, request: Request, response: Response) -> None:
        """Make a project, once for each form."""
        given = form(request)
        try:
            made = asks(request).send(
                "POST", "/v1/projects", {"name": given.get("name", "").strip()}, key=given.get("key", "")
            )
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._show(request, response, error)
            return
        go(response, f"/admin/projects/{made.body['id']}")

    def on_get_one(self, request: Request, response: Response, project_id: str) -> None:
        """Its limits, and what of them is in use."""
        self._one(request, response, project_id)

    def on_post_one(self, request: Request, response: Response, project_id: str) -> None:
        """Set its limits; what is empty has none."""
        given = form(request)
        limits = {name: number(given[name]) if given.get(name, "").strip() else None for name in AMOUNTS}
        try:
            asks(request).send("PUT", f"/v1/projects/{project_id}/quotas", limits)
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._one(request, response, project_id, error)
            return
        go(response, f"/admin/projects/{project_id}")

    def _show(self, request: Request, response: Response, error: Refused | None = None) -> None:
        page = asks(request).get("/v1/projects", limit=PER_PAGE, marker=request.get_param("marker") or "")
        self._console.pages.show(
            request, response, "projects.html", error.status if error else 200, projects=page["projects"],
            following=query(page["next"]), name=form(request).get("name", ""), key=str(uuid4()), **_said(error),
        )  # fmt: skip

    def _one(self, request: Request, response: Response, project_id: str, error: Refused | None = None) -> None:
        quotas = asks(request).get(f"/v1/projects/{project_id}/quotas")
        values = {**quotas["limits"], **form(request)}
        rows = [
            (name, label, "" if values[name] is None else values[name], quotas["used"][name])
            for name, label in AMOUNTS.items()
        ]
        self._console.pages.show(
            request,
            response,
            "project.html",
            error.status if error else 200,
            project=project_id,
            rows=rows,
            **_said(error),
        )


class Tokens:
    """`/admin/tokens`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of all projects' tokens without what they open, newest first, and the form for another one."""
        self._show(request, response)

    def on_post(self, request: Request, response: Response) -> None:
        """Make one, once for each form, and show it this once."""
        given = form(request)
        wish = {name: given.get(name, "").strip() for name in ("name", "project", "role")}
        if expires := given.get("expires_at", "").strip():
            wish["expires_at"] = f"{expires}T00:00:00Z" if "T" not in expires else expires
        try:
            made = asks(request).send("POST", "/v1/tokens", wish, key=given.get("key", ""))
        except Refused as error:
            # A project that is not there is told as such a thing by the API; here it is a field.
            if error.status not in (*_WRONG, 404):
                raise
            self._show(request, response, error)
            return
        self._console.pages.show(request, response, "new_token.html", made=made.body)

    def on_get_revoke(self, request: Request, response: Response, token_id: str) -> None:
        """Which one it is, and the button: it cannot be taken back."""
        self._console.pages.show(request, response, "revoke_token.html", token=_token(asks(request), token_id))

    def on_post_revoke(self, request: Request, response: Response, token_id: str) -> None:
        """Revoke one, and with it all sessions that it has made."""
        asks(request).send("DELETE", f"/v1/tokens/{token_id}")
        go(response, "/admin/tokens")

    def _show(self, request: Request, response: Response, error: Refused | None = None) -> None:
        asking = asks(request)
        page = asking.get("/v1/tokens", limit=PER_PAGE, marker=request.get_param("marker") or "")
        projects = asking.get("/v1/projects", limit=100)["projects"]
        given = {"name": "", "project": "", "role": "member", "expires_at": "", **form(request)}
        self._console.pages.show(
            request, response, "tokens.html", error.status if error else 200, tokens=page["tokens"], following=query(page["next"]),
            projects=projects, names={one["id"]: one["name"] for one in projects}, given=given, key=str(uuid4()), **_said(error),
        )  # fmt: skip


def _token(asking: Asking, token_id: str) -> dict[str, Any]:
    """One token, which the API shows among others only. Raises Refused."""
    marker = ""
    for _ in range(MOST_PAGES):
        page = asking.get("/v1/tokens", limit=100, marker=marker)
        if found := [one for one in page["tokens"] if one["id"] == token_id]:
            return dict(found[0])
        marker = query(page["next"]).get("marker", "")
        if not marker:
            break
    raise Refused(404, {"detail": f"there is no token {token_id[:64]}"})


def _said(error: Refused | None) -> dict[str, Any]:
    """What a page says of what was refused."""
    wrong = dict(error.errors) if error else {}
    return {"detail": error.detail if error else "", "wrong": wrong}

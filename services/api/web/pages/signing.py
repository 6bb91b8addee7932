"""Signing in, by a token or by a link that does it once, and signing out."""

from __future__ import annotations

from datetime import datetime

from falcon import Request, Response

from services.api.web.asking import Refused
from services.api.web.console import Console, asks, form, go
from services.api.web.visits import SESSION_COOKIE, SIGN_IN, Visit, asking, forget_cookie, local_path, set_cookie

KEYSTONE = "keystone"


class SignIn:
    """`/sign-in`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """The form. A link that signs in leads here with its `code`, and does nothing before the button is pressed: programs that
        look at links beforehand use none of them up.
        """
        self._show(request, response, code=request.get_param("code", default=""))

    def on_post(self, request: Request, response: Response) -> None:
        """Have a session made by the token, or by the code of a link, and keep what opens it as a cookie."""
        given = form(request)
        code = given.get("code", "")
        secret = code or given.get("token", "").strip()
        of_keystone = not code and given.get("kind") == KEYSTONE
        if not _can_be_sent(secret):
            words = "This is no token: it has letters, digits and marks without blanks. Paste it once more, whole."
            self._show(request, response, wrong=words if secret else "Paste a token.", status=422)
            return
        try:
            made = asking(self._console.api, request, secret, of_keystone=of_keystone).send("POST", "/v1/session", {})
        except Refused as error:
            # A code that does not work will not work at the next try: a token may.
            self._show(request, response, wrong=error.detail, status=error.status)
            return
        left = datetime.fromisoformat(made.body["expires_at"]) - self._console.clock.now()
        set_cookie(request, response, SESSION_COOKIE, made.body["token"], seconds=max(1, int(left.total_seconds())))
        go(response, local_path(given.get("next", "/")))

    def _show(self, request: Request, response: Response, code: str = "", wrong: str = "", status: int = 200) -> None:
        visit: Visit = request.context.visit
        following = local_path(visit.form.get("next") or request.get_param("next", default="/"))
        self._console.pages.plain(response, "sign_in.html", status, who=None, csrf=visit.csrf, path=SIGN_IN, code=code,
                                  wrong=wrong, following=following, out=request.get_param("out") is not None)  # fmt: skip


class SignOut:
    """`/sign-out`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_post(self, request: Request, response: Response) -> None:
        """End the session for good, not in this browser alone."""
        asks(request).send("DELETE", "/v1/session")
        forget_cookie(response)
        go(response, f"{SIGN_IN}?out=1")


def _can_be_sent(secret: str) -> bool:
    """Whether a text can stand in a header."""
    return bool(secret) and secret.isascii() and secret.isprintable() and " " not in secret

"""Who visits: the session's cookie, forms that only our own pages can send, and headers that browsers keep to."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import falcon

from services.api.web.asking import Asking, Refused, WsgiApp

SESSION_COOKIE, FORM_COOKIE = "dtrove_session", "dtrove_form"
SIGN_IN = "/sign-in"
FORM_BYTES = 64 * 1024
_OPEN = (SIGN_IN,)
ASSETS = "/static/"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                               "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
}  # fmt: skip


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""


class Forged(Exception):
    """A form that did not come from a page of this session."""


@dataclass
class Visit:
    """One request of somebody who is signed in, or is about to be. `csrf` is what his forms carry, `known` who it is once that was asked."""

    asking: Asking
    csrf: str
    form: dict[str, str] = field(default_factory=dict)
    known: Any = None

    @property
    def who(self) -> Any:
        """Who it is, as the API says. Raises Refused."""
        if self.known is None:
            self.known = self.asking.get("/v1/session")
        return self.known


class Visiting:
    """Middleware: finds the session, and lets no form pass that does not come from one of its own pages."""

    def __init__(self, api: WsgiApp) -> None:
        self._api = api

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Leave the visit in the request's context. Raises SignInNeeded, Forged."""
        response.set_headers(HEADERS)
        if request.path.startswith(ASSETS):
            return
        is_open = request.path in _OPEN
        secret = request.cookies.get(FORM_COOKIE if is_open else SESSION_COOKIE, "")
        if is_open and not secret:
            secret = secrets.token_urlsafe(32)
            set_cookie(request, response, FORM_COOKIE, secret, same_site="Strict")
        if not secret:
            raise SignInNeeded
        visit = Visit(asking(self._api, request, "" if is_open else secret), csrf_of(secret))
        request.context.visit = visit
        if request.method == "POST":
            visit.form = _form(request)
            _check(request, visit)


def asking(api: WsgiApp, request: falcon.Request, token: str, *, of_keystone: bool = False) -> Asking:
    """The API as whoever has this token may use it."""
    request_id = getattr(request.context, "id", "")
    return Asking(api, request.env, request_id, token, of_keystone)


def csrf_of(secret: str) -> str:
    """What forms carry to prove that they are from a page of ours: only who has the cookie can know it."""
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), b"dtrove console form", "sha256")).decode().rstrip("=")


def set_cookie(
    request: falcon.Request, response: falcon.Response, name: str, value: str, *, seconds: int | None = None,
    same_site: str = "Lax",
) -> None:  # fmt: skip
    """A cookie that no script can read; without `seconds` it goes with the browser's window."""
    response.set_cookie(name, value, max_age=seconds, path="/", http_only=True, same_site=same_site,
                        secure=request.forwarded_scheme == "https")  # fmt: skip


def forget_cookie(response: falcon.Response) -> None:
    """Have the browser drop the session, whatever its clock says: what ends in 1970 is over by every clock."""
    response.set_cookie(SESSION_COOKIE, "", expires=_LONG_AGO, path="/", http_only=True, same_site="Lax", secure=False)


def local_path(wanted: str) -> str:
    """Where to go on, which is never another site: for browsers `//host` is one, also with a backslash."""
    good = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if good else "/"


def sign_in_url(request: falcon.Request) -> str:
    """The page that signs in, and comes back to where somebody was; from a form it comes back to the front."""
    here = request.relative_uri if request.method == "GET" else "/"
    if request.get_header("HX-Request"):
        parts = urlsplit(request.get_header("HX-Current-URL") or "/")
        here = local_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return SIGN_IN if here == "/" else f"{SIGN_IN}?next={quote(here, safe='/')}"


def _form(request: falcon.Request) -> dict[str, str]:
    try:
        raw = request.bounded_stream.read(FORM_BYTES + 1)
    except OSError as error:
        raise Refused(400, {"detail": "the form broke off on its way; send it again"}) from error
    if len(raw) > FORM_BYTES:
        raise falcon.HTTPContentTooLarge(description=f"A form may have {FORM_BYTES // 1024} KiB.")
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise Refused(400, {"detail": "the form cannot be read; load the page again, and send it once more"}) from error


def _check(request: falcon.Request, visit: Visit) -> None:
    # Browsers say by themselves from where a request comes; older ones say nothing, and the form's own word has to do.
    if request.get_header("Sec-Fetch-Site") not in (None, "same-origin", "none"):
        raise Forged
    if not hmac.compare_digest(visit.form.pop("csrf", "").encode(), visit.csrf.encode()):
        raise Forged

"""Middleware that keeps one client from asking more than it may: first by its address, then by its token."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import falcon

from services.api.domain.limits import Buckets, Limits, Slots, TooManyRequests, client_address
from shared.clock import Clock

SLOW_DOWN = "ask less often: follow an operation or the events instead of looking again and again"


class Traffic:
    """Who has asked how much in this process."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits, self._clock = limits, clock
        self._addresses, self._tokens = Buckets(limits.per_address), Buckets(limits.per_token)
        self._projects = Buckets(limits.per_project)
        self._at_once, self._streams = Slots(limits.at_once), Slots(limits.streams)

    def of_address(self, request: falcon.Request) -> str:
        """Count a request by where it comes from, and return that. Raises TooManyRequests."""
        forwarded = request.get_header("X-Forwarded-For") or ""
        address = client_address(request.remote_addr, forwarded, self._limits.proxies)
        if wait := self._addresses.take(address, self._clock.monotonic()):
            words = f"more than {self._limits.per_address:g} requests a second come from {address}"
            raise TooManyRequests(words, wait, what_to_do=SLOW_DOWN)
        return address

    def of_token(self, token_id: str, project_id: str) -> None:
        """Count a request by its token and its project, and let it in. Raises TooManyRequests; otherwise call `done`."""
        if wait := self._tokens.take(token_id, self._clock.monotonic()):
            words = f"more than {self._limits.per_token:g} requests a second come with this token"
            raise TooManyRequests(words, wait, what_to_do=SLOW_DOWN)
        if wait := self._projects.take(project_id, self._clock.monotonic()):
            words = f"more than {self._limits.per_project:g} requests a second come for this project"
            raise TooManyRequests(words, wait, what_to_do=SLOW_DOWN)
        if not self._at_once.take(token_id):
            words = f"{self._limits.at_once} requests with this token are being worked on"
            raise TooManyRequests(words, 1, what_to_do="wait for their answers")

    def done(self, token_id: str) -> None:
        """A request that was let in has its answer."""
        self._at_once.leave(token_id)

    def stream(self, token_id: str, messages: Iterator[bytes]) -> Iterator[bytes]:
        """Count a stream until it is closed. Raises TooManyRequests."""
        if not self._streams.take(token_id):
            words = f"{self._limits.streams} streams are open with this token"
            raise TooManyRequests(words, 1, what_to_do="close some, or follow /v1/events, which tells of everything")
        return _Counted(messages, lambda: self._streams.leave(token_id))


class ByAddress:
    """Goes before authentication, so that guesses at tokens are counted as well."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Leave the address in the request's context. Raises TooManyRequests."""
        request.context.address = self._traffic.of_address(request)


class ByToken:
    """Goes after authentication."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Raises TooManyRequests."""
        who = getattr(request.context, "caller", None)
        if who is not None:
            self._traffic.of_token(who.token_id, who.project_id)
            request.context.counted = who.token_id

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _ok: bool
    ) -> None:
        """The answer is there; what streams goes on under a count of its own."""
        token_id = getattr(request.context, "counted", None)
        if token_id is not None:
            self._traffic.done(token_id)


class _Counted(Iterator[bytes]):
    """An iterator that says once when it is over, also where nobody ever began with it."""

    def __init__(self, inner: Iterator[bytes], over: Callable[[], None]) -> None:
        self._inner = inner
        self._over: Callable[[], None] | None = over

    def __next__(self) -> bytes:
        return next(self._inner)

    def close(self) -> None:
        """WSGI's own end of an answer, however it came about."""
        over, self._over = self._over, None
        if over is not None:
            getattr(self._inner, "close", lambda: None)()
            over()

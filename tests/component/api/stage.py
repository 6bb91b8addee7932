"""Serves the app as a nameko container does, in a process of its own, with two doors for tests: hear, and tokens."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from dataclasses import fields  # noqa: E402
from typing import Any  # noqa: E402

import falcon  # noqa: E402
from nameko import config  # noqa: E402
from sqlalchemy import insert, update  # noqa: E402

from services.api.actions.access import DEFAULT_PROJECT, digest  # noqa: E402
from services.api.domain.limits import Limits  # noqa: E402
from services.api.routes import ROUTES  # noqa: E402
from services.api.store import tables  # noqa: E402
from services.api.web.app import OWNED, make_console  # noqa: E402
from services.api.web.front import Front  # noqa: E402
from shared.bus import Certificate, Door, Web  # noqa: E402
from shared.contracts import REGISTRY  # noqa: E402
from shared.contracts.base import new_id, utcnow  # noqa: E402
from tests.support.api import Api, open_database  # noqa: E402

EVENTS = {event.__name__: event for event in REGISTRY.values()}


class Tell:
    """POST /tell: an event, as it would come from the bus."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        told = json.loads(request.bounded_stream.read())
        # `kind` is a field of one of the events as well.
        event = EVENTS[told["kind"]]
        self._api.hear(event.from_payload({**told, "kind": "build"}))
        response.media = {}


class Token:
    """POST /token, DELETE /token/{id}: a reader's token, and its end."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        token_id, secret = new_id(), f"token-{new_id()}"
        add(self._api, token_id, secret, "reader")
        response.media = {"id": token_id, "token": secret}

    def on_delete_one(self, request: falcon.Request, response: falcon.Response, token_id: str) -> None:
        t = tables.tokens
        with self._api.database.write() as tx:
            tx.connection.execute(update(t).where(t.c.id == token_id).values(revoked_at=utcnow()))
        response.media = {}


def add(api: Api, token_id: str, secret: str, role: str) -> None:
    """A token, straight into the database."""
    with api.database.write() as tx:
        tx.connection.execute(
            insert(tables.tokens).values(id=token_id, hash=digest(secret), name="x", project_id=DEFAULT_PROJECT,
                                         role=role, created_at=utcnow())
        )  # fmt: skip


class Container:
    """As much of a nameko container as the web extension asks of it."""

    def __init__(self) -> None:
        self.thread: Any = None

    def spawn_managed_thread(self, function: Any, identifier: str = "") -> Any:
        self.thread = eventlet.spawn(function)
        return self.thread


def chosen(kind: type[Any], options: dict[str, Any]) -> Any:
    """What of the options is a field of this dataclass."""
    return kind(**{one.name: options[one.name] for one in fields(kind) if one.name in options})


def door(options: dict[str, Any]) -> Door:
    """How the server lets in."""
    pair = options.pop("certificate", None)
    made: Door = chosen(Door, options)
    made.certificate = Certificate(*pair) if pair else None
    return made


def site(api: Api) -> Front:
    """The API with these doors, and the console before it."""
    of_api = {path.split("/")[1] for path, *_ in ROUTES} | {"tell", "token"}
    return Front(api.app, make_console(api.app, api.database.clock), of_api, OWNED)


def main() -> None:
    """Serve until the process is ended."""
    logging.basicConfig(level=logging.WARNING)
    url, member, told = sys.argv[1:4]
    options = json.loads(told)
    api = Api(open_database(url), limits=chosen(Limits, options))
    api.know_choices()
    add(api, new_id(), member, "member")
    api.app.add_route("/tell", Tell(api))
    api.app.add_route("/token", Token(api))
    api.app.add_route("/token/{token_id}", Token(api), suffix="one")
    probe = eventlet.listen(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    config.setup({"WEB_SERVER_ADDRESS": f"127.0.0.1:{port}"})
    web = Web(lambda: site(api), lambda: door(options))
    container = Container()
    bound = web.bind(container, "web")
    bound.start()
    print(f"port {port}", flush=True)  # noqa: T201
    container.thread.wait()


if __name__ == "__main__":
    main()

"""A small service that the tests of the bus run as a real process; the environment says what it is called."""

from __future__ import annotations

import gc
import json
import logging
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import eventlet
from amqp.transport import _AbstractTransport
from sqlalchemy import Column, MetaData, String, Table, insert

from shared.bus import Relay, RpcCaller, Steps, on, rpc
from shared.contracts.base import Event, event
from shared.db import Database, Subscribe
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.errors import Conflict, DtroveError, Retryable, Unavailable
from shared.once import once
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, TaskDraft, Workflow

NAME = os.environ.get("STAGE_NAME", "stage")
HOME = Path(os.environ.get("STAGE_HOME", "."))
WORKERS = 4
log = logging.getLogger("stage")
metadata = MetaData()
effects = Table("effects", metadata, Column("event_id", String(64), primary_key=True), Column("what", String(64)))


@event("stage.asked", publisher="tester")
@dataclass(frozen=True, kw_only=True)
class Asked(Event):
    """What a test wants of the stage."""

    wish: str
    cluster_id: str = ""
    operation_id: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@event("stage.told", publisher="*")
@dataclass(frozen=True, kw_only=True)
class Told(Event):
    """What the stage announces."""

    number: int


def note(what: str, **more: Any) -> None:
    """Tell the test what happened, and when."""
    line = json.dumps({"what": what, "at": time.time(), **more})
    with (HOME / "notes").open("a") as file:
        file.write(line + "\n")


@once
def database() -> Database:
    """The stage's database, made at first need."""
    made = Database(os.environ.get("STAGE_DATABASE", f"sqlite:///{HOME}/stage.sqlite"), NAME, metadata)
    with made.write() as tx:
        metadata.create_all(tx.connection)
    return made


def relay() -> tuple[Outbox, Subscribe]:
    return Outbox(database()), database().on_outbox


def steps() -> tuple[StepEngine, int, Subscribe]:
    flow = Workflow("work", (Step("work", _work),))
    return StepEngine(database(), {"work": flow}), WORKERS, database().on_tasks


def _work(context: StepContext) -> Outcome:
    note("began", task=context.task.id, claims=context.task.claims)
    eventlet.sleep(float(context.task.payload["seconds"]))
    note("ended", task=context.task.id)
    return Next()


class Stage:
    """Does as it is told."""

    name = NAME
    cut_before = False
    relay = Relay(relay)
    steps = Steps(steps)

    @on(Asked)
    @on(Asked, "prompter")
    def asked(self, told: Asked) -> None:
        """Play the part that the event asks for."""
        getattr(self, f"_{told.wish}")(told)

    def _note(self, told: Asked) -> None:
        note("note", **told.values)

    def _effect(self, told: Asked) -> None:
        with database().write() as tx:
            if tx.first_seen(told.event_id, "effect"):
                tx.connection.execute(insert(effects).values(event_id=told.event_id, what="done"))
                note("effect", event_id=told.event_id)

    def _fail(self, told: Asked) -> None:
        note("fail", id=told.event_id)
        if not (HOME / "mended").exists():
            raise RuntimeError("the stage is broken")
        note("handled", id=told.event_id)

    def _wait(self, told: Asked) -> None:
        note("wait", id=told.event_id)
        if not (HOME / "mended").exists():
            raise (Unavailable if told.values.get("unavailable") else Retryable)("not there yet")
        note("handled", id=told.event_id)

    def _refuse(self, told: Asked) -> None:
        raise Conflict("the stage will not")

    def _die(self, told: Asked) -> None:
        os._exit(9)

    def _cut(self, told: Asked) -> None:
        if not self.cut_before:
            type(self).cut_before = True
            _cut_lines()
        note("cut", id=told.event_id)

    def _announce(self, told: Asked) -> None:
        for number in range(told.values["count"]):
            with database().write() as tx:
                tx.emit(Told(number=number))
        note("announced")

    def _file(self, told: Asked) -> None:
        with database().write() as tx:
            for number, subject in enumerate(told.values["subjects"]):
                name = f"{told.event_id[:8]}-{number}"
                draft = TaskDraft(name, "work", subject, "c", "o", {"seconds": told.values["seconds"]})
                tx.file(draft)
        note("filed")

    def _call(self, told: Asked) -> None:
        note("calling")
        eventlet.sleep(told.values.get("after", 0))
        began = time.monotonic()
        caller = RpcCaller(told.values["service"], timeout=told.values.get("timeout", 10.0))
        try:
            answer = caller.call(told.values["method"], *told.values.get("args", ()))
            note("answer", answer=answer, seconds=time.monotonic() - began)
        except DtroveError as error:
            kind, doing = type(error).__name__, error.what_to_do
            note("refusal", kind=kind, words=error.message, doing=doing, seconds=time.monotonic() - began)

    def _log(self, told: Asked) -> None:
        log.info("the word is %s", Secret("canary-7f3a"))

    @rpc
    def echo(self, *words: str) -> list[str]:
        """Say it again."""
        return list(words)

    @rpc
    def sleep(self, seconds: float) -> str:
        """Answer late."""
        note("sleeping")
        eventlet.sleep(seconds)
        note("slept")
        return "rested"

    @rpc
    def refuse(self) -> None:
        """Refuse."""
        raise Conflict("it is taken", what_to_do="take another")

    @rpc
    def unspeakable(self) -> object:
        """Answer with what JSON cannot say."""
        return object()

    @rpc
    def die(self) -> None:
        """Let the container die, with a worker that will not go."""
        self.relay.container.spawn_managed_thread(_die)


def _cut_lines() -> None:
    """Let what is said next to the broker fail, before anybody has noticed that it is gone."""
    for line in [one for one in gc.get_objects() if isinstance(one, _AbstractTransport) and one.sock is not None]:
        line.sock.shutdown(socket.SHUT_WR)


def _die() -> None:
    raise RuntimeError("the container is to die")

"""RPC that cannot kill a container on the serving side, and cannot wait for ever on the asking side."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any
from uuid import uuid4

import eventlet
from amqp.exceptions import AMQPError, PreconditionFailed
from kombu import Connection, Queue
from kombu.exceptions import KombuError
from kombu.utils.json import dumps, loads
from nameko.exceptions import safe_for_serialization, serialize
from nameko.rpc import Rpc, RpcConsumer, get_rpc_exchange

from shared import errors
from shared.bus.connection import connected, drop
from shared.bus.consumer import RobustConsumer
from shared.bus.publisher import Outgoing, publisher
from shared.errors import FieldError, Unavailable

TIMEOUT = 10.0
# Lines that are kept for the next call: opening one takes ten times as long as a call.
IDLE_LINES = 4
log = logging.getLogger(__name__)


class _Requests(RobustConsumer):
    """Takes requests out of a quorum queue; nameko, and DTrove 0.1, made it a classic one."""

    def get_consumers(self, consumer_cls: Any, channel: Any) -> list[Any]:
        self.expect()
        for queue in self.queues:
            self._declare(queue, channel.connection)
        return list(super().get_consumers(consumer_cls, channel))

    def _declare(self, queue: Queue, line: Any) -> None:
        try:
            with line.channel() as channel:
                queue(channel).declare()
        except PreconditionFailed:
            # Requests that lie in the old one have callers who stop waiting within seconds.
            log.warning("%s is replaced: it was made by an older release, as a queue of another kind", queue.name)
            with line.channel() as channel:
                queue(channel).delete()
                queue(channel).declare()


class RobustRpcConsumer(RpcConsumer):
    """nameko's consumer of requests, for which a lost reply is the caller's loss and not the container's end."""

    consumer_cls = _Requests

    def setup(self) -> None:
        super().setup()
        # A classic queue would be away as long as the one node of a cluster that holds it.
        self.queue.queue_arguments = {"x-queue-type": "quorum"}

    def start(self) -> None:
        # The broker may come later than we do: the consumer goes on trying by itself.
        self.container.spawn_managed_thread(self.consumer.run, identifier="rpc")

    def handle_message(self, body: Any, message: Any) -> None:
        if not message.properties.get("reply_to"):
            log.warning("dropped an RPC request without reply_to for %s", message.delivery_info.get("routing_key"))
            self.consumer.ack_message(message)
            return
        try:
            self.get_provider_for_method(message.delivery_info["routing_key"]).handle_message(body, message)
        except Exception:  # noqa: BLE001 - the caller made it, the caller gets it
            refuse = partial(self.handle_result, message, None, sys.exc_info())
            self.container.spawn_managed_thread(refuse, identifier="rpc refusal")

    def handle_result(self, message: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
        reply = Outgoing(
            _payload(result, exc_info), str(message.properties["reply_to"]), get_rpc_exchange().name, mandatory=False,
            properties={"correlation_id": str(message.properties.get("correlation_id") or "")},
        )  # fmt: skip
        try:
            publisher().send([reply])
        except Unavailable as error:
            log.warning("the reply to %s is lost: %s", message.delivery_info.get("routing_key"), error)
        self.consumer.ack_message(message)
        return result, exc_info


class RobustRpc(Rpc):
    """nameko's RPC entrypoint on that consumer."""

    rpc_consumer = RobustRpcConsumer()

    def __init__(self, **options: Any) -> None:
        super().__init__(expected_exceptions=(errors.DtroveError,), **options)


rpc = RobustRpc.decorator


def _payload(result: Any, exc_info: Any) -> str:
    """Nameko's reply, with what our errors hold beside their message."""
    error = None if exc_info is None else serialize(exc_info[1])
    if error is not None and isinstance(exc_info[1], errors.DtroveError):
        error["what_to_do"] = exc_info[1].what_to_do
        error["errors"] = [[one.field, one.reason] for one in getattr(exc_info[1], "errors", ())]
    try:
        return str(dumps({"result": result, "error": error}))
    except (TypeError, ValueError) as problem:
        log.error("an RPC's result is not JSON: %s", problem)
        return str(dumps({"result": None, "error": serialize(problem)}))


class _Late(Exception):
    """No answer in time."""


class RpcCaller:
    """Calls another service; every call ends within `timeout` seconds.

    Raises the same DtroveError that the other side raised, or Unavailable when no answer came.
    """

    def __init__(self, service: str, timeout: float = TIMEOUT) -> None:
        self.service = service
        self.timeout = timeout

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call `method` and return its JSON-ready answer."""
        what_to_do = f"see whether the service {self.service} runs"
        try:
            with eventlet.Timeout(self.timeout, _Late()):
                reply = self._ask(method, args, kwargs)
        except _Late as error:
            message = f"{self.service} did not answer within {self.timeout:.0f} s"
            raise Unavailable(message, what_to_do=what_to_do) from error
        except (OSError, AMQPError, KombuError, AttributeError) as error:
            raise Unavailable(f"{self.service} cannot be reached: {error}", what_to_do=what_to_do) from error
        if reply.get("error"):
            raise _same(reply["error"])
        return reply.get("result")

    def _ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        body, key = dumps({"args": args, "kwargs": kwargs}), f"{self.service}.{method}"
        if _IDLE:
            try:
                return self._over(_IDLE.pop(), body, key)
            except (OSError, AMQPError, AttributeError) as error:
                log.debug("a line that was kept is dead: %s", error)
        return self._over(_Line(), body, key)

    def _over(self, line: _Line, body: str, key: str) -> dict[str, Any]:
        try:
            reply = line.ask(body, key, self.timeout)
        except BaseException:
            line.close()
            raise
        if len(_IDLE) < IDLE_LINES:
            _IDLE.append(line)
        else:
            line.close()
        if reply is None:
            raise ConnectionError(f"there is no service {self.service} on the bus")
        return reply


class _Line:
    """A connection with an address for replies, for one call at a time; opened at the first."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._address = str(uuid4())
        self._channel: Any = None
        self._replies: list[Any] = []

    def ask(self, body: str, key: str, seconds: float) -> dict[str, Any] | None:
        """Send a request, wait for its reply; None: no service is there to take it."""
        channel = self._channel = self._channel or self._open()
        self._replies.clear()
        # A request that nobody took in time is not to be run once nobody waits for it.
        properties = {"reply_to": self._address, "correlation_id": str(uuid4()), "expiration": str(int(seconds * 1000))}
        message = channel.prepare_message(body, None, "application/json", "utf-8", None, properties)
        channel.basic_publish(message, get_rpc_exchange().name, key, mandatory=True)
        while True:
            channel.connection.drain_events()
            for reply in self._replies:
                if reply is None:
                    return None
                if reply.properties.get("correlation_id") == properties["correlation_id"]:
                    return dict(loads(reply.body))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            drop(self._connection)

    def _open(self) -> Any:
        self._connection = connected(heartbeat=0)
        channel = self._connection.channel()
        queue = Queue(f"rpc.reply-{self._address}", get_rpc_exchange(), routing_key=self._address, exclusive=True,
                      durable=False)  # fmt: skip
        queue(channel).declare()
        channel.basic_consume(queue.name, no_ack=True, callback=self._replies.append)
        channel.events["basic_return"].add(lambda *_: self._replies.append(None))
        return channel


_IDLE: list[_Line] = []


def _same(error: dict[str, Any]) -> errors.DtroveError:
    """The other side's error as one of ours."""
    kind, message = getattr(errors, str(error.get("exc_type")), None), str(safe_for_serialization(error.get("value")))
    if not (isinstance(kind, type) and issubclass(kind, errors.DtroveError)):
        return Unavailable(f"the other service failed: {error.get('exc_type')} {message}")
    made = kind(message, what_to_do=str(error.get("what_to_do") or ""))
    if isinstance(made, errors.Invalid):
        made.errors = tuple(FieldError(str(name), str(reason)) for name, reason in error.get("errors") or ())
    return made

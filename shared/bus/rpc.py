"""RPC that cannot kill a container on the serving side, and cannot wait for ever on the asking side."""

from __future__ import annotations

import logging
from typing import Any

from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from nameko import config
from nameko.exceptions import RemoteError, RpcTimeout, UnknownService, safe_for_serialization
from nameko.rpc import Rpc
from nameko.standalone.rpc import ServiceRpcClient

from shared import errors
from shared.bus.connection import TIMEOUTS

TIMEOUT = 10.0
log = logging.getLogger(__name__)


class RobustRpc(Rpc):
    """nameko's RPC entrypoint, for which a lost reply is the caller's loss and not the container's end."""

    def handle_message(self, body: Any, message: Any) -> None:
        if not message.properties.get("reply_to"):
            log.warning("dropped an RPC request without reply_to for %s", self.method_name)
            self.rpc_consumer.consumer.ack_message(message)
            return
        super().handle_message(body, message)

    def handle_result(self, message: Any, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> Any:
        try:
            return super().handle_result(message, worker_ctx, result, exc_info)
        except (OSError, AMQPError, KombuError) as error:
            log.warning("the reply of %s is lost, RabbitMQ is away: %s", self.method_name, error)
            return result, exc_info


rpc = RobustRpc.decorator


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
            with ServiceRpcClient(self.service, timeout=self.timeout, uri=config["AMQP_URI"],
                                  transport_options={**TIMEOUTS, "read_timeout": None}) as client:  # fmt: skip
                return getattr(client, method)(*args, **kwargs)
        except RemoteError as error:
            raise _same(error) from error
        except RpcTimeout as error:
            message = f"{self.service} did not answer within {self.timeout:.0f} s"
            raise errors.Unavailable(message, what_to_do=what_to_do) from error
        except (OSError, AMQPError, KombuError, UnknownService) as error:
            raise errors.Unavailable(f"{self.service} cannot be reached: {error}", what_to_do=what_to_do) from error


def _same(error: RemoteError) -> errors.DtroveError:
    kind = getattr(errors, str(error.exc_type), None)
    message = safe_for_serialization(error.value)
    if isinstance(kind, type) and issubclass(kind, errors.DtroveError):
        return kind(str(message))
    return errors.Unavailable(f"the other service failed: {error.exc_type} {message}")

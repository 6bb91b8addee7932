"""Structured logs: one JSON object a line, with operation and cluster ids bound by whoever works on them."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any

import structlog

from shared.secrets import Secret


def configure(service: str, level: str = "INFO") -> None:
    """Send every logger of the process to standard output as JSON. Secrets print as `***` by themselves."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=chain,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _with_service(service),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_plain),
        ],
    )
    # No line says from where it was logged or by which thread; not to find that out halves what a line costs. Source: the
    # section "Optimization" of Python's logging HOWTO.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These talk about every frame and heartbeat below WARNING.
    for noisy in ("amqp", "kombu", "paramiko", "urllib3", "docker", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # It would tell each refusal with a traceback; whoever refuses has told it in a sentence.
    logging.getLogger("nameko.containers").setLevel(max(logging.ERROR, root.level))


def about(value: object) -> AbstractContextManager[None]:
    """Put the operation and cluster that `value` (an event, a task) speaks of into every line logged inside."""
    ids = {name: str(found) for name in ("operation_id", "cluster_id") if (found := getattr(value, name, ""))}
    bound: AbstractContextManager[None] = structlog.contextvars.bound_contextvars(**ids)
    return bound


def _with_service(service: str) -> Any:
    def add(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {"service": service, **event}

    return add


def _plain(value: Any) -> str:
    return "***" if isinstance(value, Secret) else str(value)

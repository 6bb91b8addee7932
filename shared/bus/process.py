"""Runs one or more services in a process: `python -m shared.bus.process --config config.yaml services.api.service`."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import importlib  # noqa: E402
import inspect  # noqa: E402
import logging  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from nameko import config  # noqa: E402
from nameko.cli.utils.config import load_config  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402

from shared import log as logs  # noqa: E402
from shared.bus.connection import wait_for_broker  # noqa: E402
from shared.errors import DtroveError  # noqa: E402

log = logging.getLogger("dtrove.process")


def main() -> int:
    """Run until SIGTERM (0), or until a container dies (1), so that a supervisor starts the process anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("modules", nargs="+")
    asked = parser.parse_args()
    with open(asked.config) as file:  # noqa: PTH123
        config.setup(load_config(file))
    logs.configure(asked.modules[0].split(".")[1], str(config.get("DTROVE_LOG_LEVEL") or "INFO"))
    wait_for_broker(str(config["AMQP_URI"]))
    runner = ServiceRunner()
    try:
        for name in asked.modules:
            runner.add_service(_service_of(name))
        signal.signal(signal.SIGTERM, lambda *_: eventlet.spawn_n(runner.stop))
        signal.signal(signal.SIGINT, lambda *_: eventlet.spawn_n(runner.stop))
        runner.start()
        log.info("%s runs", ", ".join(asked.modules))
        runner.wait()
    except DtroveError as error:
        log.error("%s %s", error.message, error.what_to_do)
        return 2
    except Exception:
        log.exception("a container died; the process ends")
        return 1
    return 0


def _service_of(module: str) -> Any:
    members = vars(importlib.import_module(module)).values()
    return next(one for one in members if inspect.isclass(one) and one.__module__ == module and hasattr(one, "name"))


if __name__ == "__main__":
    sys.exit(main())

"""Runs one or more services in a process: `python -m shared.bus.process --config config.yaml services.api.service`."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import importlib.util  # noqa: E402
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
from shared.config import EXIT_CODE, ConfigInvalid, problems_of  # noqa: E402
from shared.errors import DtroveError  # noqa: E402

log = logging.getLogger("dtrove.process")


def main() -> int:
    """Run until SIGTERM (0), or until a container dies (1), so that a supervisor starts the process anew.

    78 says that the configuration has to be mended first: the log lists all that is wrong with it.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("modules", nargs="+")
    asked = parser.parse_args()
    with open(asked.config) as file:  # noqa: PTH123
        config.setup(load_config(file))
    problems = problems_of(_settings_of(asked.modules), config)
    level = "INFO" if problems else str(config.get("DTROVE_LOG_LEVEL") or "INFO")
    logs.configure(asked.modules[0].split(".")[1], level)
    if problems:
        log.error(str(ConfigInvalid(problems)))
        return EXIT_CODE
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


def _settings_of(modules: list[str]) -> list[type[Any]]:
    """The settings of the services that have some."""
    beside = [module.rpartition(".")[0] + ".settings" for module in modules if "." in module]
    return [importlib.import_module(name).Settings for name in beside if importlib.util.find_spec(name)]


def _service_of(module: str) -> Any:
    members = vars(importlib.import_module(module)).values()
    return next(one for one in members if inspect.isclass(one) and one.__module__ == module and hasattr(one, "name"))


if __name__ == "__main__":
    sys.exit(main())

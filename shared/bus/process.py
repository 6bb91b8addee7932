"""Runs one or more services in a process: `python -m shared.bus.process --config config.yaml services.api.service`.

It waits for its database and its broker and says so, ends at once where the configuration is wrong, and never lives
on half dead: a container that dies ends the process, whatever the rest of it is stuck in.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import importlib.util  # noqa: E402
import inspect  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from eventlet.patcher import original  # noqa: E402
from nameko import config  # noqa: E402
from nameko.cli.utils.config import load_config  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402

from shared import log as logs  # noqa: E402
from shared.broker import read_uris  # noqa: E402
from shared.bus.connection import wait_for_broker  # noqa: E402
from shared.bus.formation import wait_for_nodes  # noqa: E402
from shared.bus.green import mend_look_ups, mend_names  # noqa: E402
from shared.bus.patience import be_patient  # noqa: E402
from shared.config import EXIT_CODE, ConfigInvalid, problems_of, secret_names, with_files  # noqa: E402
from shared.errors import DtroveError  # noqa: E402

mend_names()
mend_look_ups()

ENDED, DIED, WRONG = 0, 1, EXIT_CODE
# Less than a supervisor's patience: whoever is told to end has this long, whatever he is in the middle of.
GRACE_SECONDS = 8.0
# While it still waits to begin, there is nothing to put in order.
START_GRACE_SECONDS = 1.0

log = logging.getLogger("dtrove.process")


class Container(ServiceContainer):
    """A container that cannot get stuck in dying."""

    def kill(self, exc_info: Any = None) -> None:
        if exc_info is not None:
            log.critical("the container of %s died: %s", self.service_name, exc_info[1])
            end_within(GRACE_SECONDS, DIED)
        super().kill(exc_info)


def main() -> int:
    """Run until SIGTERM (0), or until a container dies (1), so that a supervisor starts the process anew.

    78: the configuration is wrong, and starting again would not mend it; the log lists all of it.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("modules", nargs="+")
    asked = parser.parse_args()
    problems = _configure(asked.config, _settings_of(asked.modules))
    level = "INFO" if problems else str(config.get("DTROVE_LOG_LEVEL") or "INFO")
    logs.configure(_name_of(asked.modules[0]), level)
    told = Told()
    try:
        if problems:
            raise ConfigInvalid(problems)
        services = [_service_of(name) for name in asked.modules]
        wait_for_broker(str(config["AMQP_URI"]), told.to_end)
        wait_for_nodes(read_uris(str(config["AMQP_URI"])), [service.name for service in services], told.to_end)
        return ENDED if told.to_end() else _serve(services, told)
    except ConfigInvalid as error:
        log.error("%s %s", error.message, error.what_to_do)
        return WRONG
    except DtroveError as error:
        log.error("%s %s", error.message, error.what_to_do)
        return DIED
    except Exception:
        log.exception("a container died; the process ends")
        return DIED


class Told:
    """Whether a signal told the process to end."""

    def __init__(self) -> None:
        self._ending = False
        self._runner: ServiceRunner | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def to_end(self) -> bool:
        """Whether it is time."""
        return self._ending

    def stops(self, runner: ServiceRunner) -> None:
        """From now on there is something to stop in good order."""
        self._runner = runner
        if self._ending:
            eventlet.spawn_n(runner.stop)

    def _hear(self, *_: Any) -> None:
        if self._ending:
            return
        self._ending = True
        end_within(GRACE_SECONDS if self._runner else START_GRACE_SECONDS, ENDED)
        if self._runner is not None:
            eventlet.spawn_n(self._runner.stop)


def _configure(path: str, settings: list[type[Any]]) -> list[str]:
    """Take in the configuration; returns all that is wrong with it. Whatever we start later inherits no secret of ours."""
    with open(path) as file:  # noqa: PTH123
        values = load_config(file)
    try:
        config.setup(with_files(values, os.environ))
    except ConfigInvalid as error:
        config.setup(values)
        return error.problems
    for name in secret_names(settings, os.environ):
        del os.environ[name]
    return problems_of(settings, config)


def _serve(services: list[Any], told: Told) -> int:
    runner = ServiceRunner()
    runner.container_cls = Container
    for service in services:
        runner.add_service(service)
    # Here the services open their databases, and wait for them.
    runner.start()
    # Not before: a migration may take longer than any answer.
    be_patient()
    told.stops(runner)
    log.info("%s runs", ", ".join(service.name for service in services))
    runner.wait()
    return ENDED


def end_within(seconds: float, code: int) -> None:
    """End the process with `code` after `seconds`, from a real thread: green ones may all be stuck by then."""

    def end() -> None:
        os.write(2, f"ended by force {seconds:g} s after its time\n".encode())
        os._exit(code)

    timer = original("threading").Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _name_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "services" and len(parts) > 1 else parts[-1]


def _settings_of(modules: list[str]) -> list[type[Any]]:
    """The settings of the services that have some."""
    beside = [module.rpartition(".")[0] + ".settings" for module in modules if "." in module]
    return [importlib.import_module(name).Settings for name in beside if importlib.util.find_spec(name)]


def _service_of(module: str) -> Any:
    members = vars(importlib.import_module(module)).values()
    return next(one for one in members if inspect.isclass(one) and one.__module__ == module and hasattr(one, "name"))


if __name__ == "__main__":
    sys.exit(main())

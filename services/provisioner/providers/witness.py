"""One look at one server, for who judges whether it lives: the provider's own word, in a few seconds or not at all."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.clouds import Clouds
from shared.errors import DtroveError

CONSOLE_LINES = 20
log = logging.getLogger(__name__)


@dataclass
class _Look:
    """A look under way, and what it has brought so far."""

    status: str = ""
    message: str = ""
    console: str = ""
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Witness:
    """Asks the provider and waits for `seconds` at most, less than a caller over RPC does.

    A provider's own timeouts are longer, so a look goes on by itself; who asks for the same server meanwhile shares it, and a
    cloud that hangs holds one thread for each server, however often it is asked for.
    """

    clouds: Clouds
    seconds: float = 5.0
    _looks: dict[str, _Look] = field(default_factory=dict)

    def ask(self, instance: Instance) -> dict[str, str]:
        """`status` in the port's words, UNKNOWN where no answer came; `message`; `console`, its last lines. Changes nothing."""
        if instance.status == Status.DELETED:
            return {"status": "DELETED", "message": "", "console": ""}
        if not instance.server:
            # Some providers make a server when they are asked for one that has no id yet.
            return {"status": "UNKNOWN", "message": f"the instance is {instance.status}", "console": ""}
        look = self._looks.get(instance.id)
        if look is None:
            look = self._looks[instance.id] = _Look()
            threading.Thread(target=self._work, args=(replace(instance), look), daemon=True, name="witness").start()
        look.done.wait(self.seconds)
        silent = "" if look.status or look.message else f"the provider did not answer within {self.seconds:g} s"
        return {"status": look.status or "UNKNOWN", "message": look.message or silent, "console": look.console}

    def _work(self, instance: Instance, look: _Look) -> None:
        try:
            provider = self.clouds.of(instance)
            look.status, _ = provider.update_status(instance)
            look.message = instance.message
            look.console = provider.console_output(instance, CONSOLE_LINES)
        except DtroveError as error:
            # A console that cannot be read takes nothing from what was said of the server.
            look.message = look.message if look.status else error.message
        except Exception:
            log.exception("the look at instance %s ended unexpectedly", instance.id)
        finally:
            self._looks.pop(instance.id, None)
            look.done.set()

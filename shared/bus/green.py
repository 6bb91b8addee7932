"""What eventlet's patch comes too late for, and what it remembers for too long."""

from __future__ import annotations

import time
from typing import Any

import kombu.mixins
import kombu.utils.functional
from eventlet.support import greendns


def mend_names() -> None:
    """Let kombu's pauses between tries stop one green thread instead of the whole process.

    Whoever runs a module of this package has imported the package first, and with it kombu, which keeps the `sleep`
    that it found. Call it after the patch.
    """
    kombu.utils.functional.sleep = kombu.mixins.sleep = time.sleep


class ForgetfulResolver(greendns.ResolverProxy):
    """Asks for the address of a name each time, of the name servers that are configured now.

    eventlet's own keeps every answer for as long as its time to live, even that there is no such name. Where containers
    get their names as they start, a name that was asked for a second too early would stay unknown for hours. The
    standard library's look-up keeps nothing either.
    """

    def query(self, *args: Any, **options: Any) -> Any:
        self.clear()
        return super().query(*args, **options)


def mend_look_ups() -> None:
    """Have every green look-up of a name ask anew."""
    greendns.resolver = ForgetfulResolver(hosts_resolver=greendns.HostsResolver())

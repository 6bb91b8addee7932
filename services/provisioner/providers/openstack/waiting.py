"""Waits on the cloud that have an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.provisioner.providers.base import ProviderBusy

# No cloud is asked more often than this, whatever is waited for.
POLL_SECONDS = 1.0


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Look once a second. Raises ProviderBusy when it takes too long: the step is tried again, and looks on."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise ProviderBusy(
                f"{what} takes longer than {seconds:.0f} s", what_to_do="look at the cloud; it is tried again"
            )
        time.sleep(POLL_SECONDS)

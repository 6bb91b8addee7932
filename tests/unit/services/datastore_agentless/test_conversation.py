"""What a command wrote is heard whole, also where its end is told before it, or at the very moment that listening stops."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

import pytest

from services.datastore_agentless.hosts.conversation import SILENT_SECONDS, converse
from shared.clock import ManualClock

SILENCE = b"silence"


@dataclass
class LateChannel:
    """Says `told` piece by piece. SILENCE is a second without a word, in which the command comes to its end.

    With `ready` whoever has been silent has a piece in hand already, as paramiko's pipe has on a busy machine.
    """

    clock: ManualClock
    told: deque[bytes]
    ready: bool = False
    status_event: threading.Event = field(default_factory=threading.Event)

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout or 0.0

    def send(self, s: bytes) -> int:
        return len(s)

    def shutdown_write(self) -> None:
        """Nothing is fed."""

    def recv(self, nbytes: int) -> bytes:
        piece = self.told.popleft() if self.told else b""
        if piece != SILENCE:
            return piece
        self.clock.advance(self.timeout)
        self.status_event.set()
        raise TimeoutError

    def recv_ready(self) -> bool:
        return self.ready and bool(self.told)

    def recv_stderr(self, nbytes: int) -> bytes:
        return b""

    def recv_exit_status(self) -> int:
        return 0


def heard(told: list[bytes], *, ready: bool = False) -> bytes:
    clock = ManualClock()
    channel = LateChannel(clock, deque(told), ready=ready)
    output = converse(channel, b"", clock.monotonic() + 60, clock, lambda: False)
    assert output.code == 0
    return output.stdout


@pytest.mark.parametrize("ready", [True, False])
def test_what_comes_together_with_the_end_is_heard(ready: bool) -> None:
    assert heard([b"10.11", SILENCE, b".6\n"], ready=ready) == b"10.11.6\n"


def test_what_comes_a_while_after_the_end_is_heard() -> None:
    assert heard([SILENCE] * int(SILENT_SECONDS - 1) + [b"uid=0\n"]) == b"uid=0\n"


def test_what_is_left_in_the_background_and_says_nothing_is_not_waited_for() -> None:
    told = [b"started\n", *[SILENCE] * 20, b"never heard"]
    assert heard(told) == b"started\n"

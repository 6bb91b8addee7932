"""Keeps parked messages, as the api service does, and tells the test of them."""

from __future__ import annotations

import os

from shared.bus.parked import on_parked
from shared.bus.parking import ParkedMessage
from tests.component.bus.stage import note


class Keeper:
    """Notes every parked message."""

    name = os.environ.get("STAGE_NAME", "stage") + "-keeper"

    @on_parked
    def keep(self, message: ParkedMessage) -> None:
        """Tell the test."""
        note("parked", id=message.id, service=message.service, queue=message.queue, topic=message.topic,
             reason=message.reason, body=message.body, headers=message.headers)  # fmt: skip

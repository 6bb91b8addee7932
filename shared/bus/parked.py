"""`on_parked`: the entrypoint of the service that keeps what no handler could take."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from shared.bus import parking
from shared.bus.events import Handler
from shared.bus.parking import ParkedMessage, printable

LONGEST_HEADER = 255


class ParkedHandler(Handler):
    """Takes every parked message, whoever parked it, and never gives one up."""

    queue = parking.PARKED_QUEUE
    topic = "parked"

    def read(self, message: Any) -> ParkedMessage:
        return describe(message)

    def gives_up(self, error: BaseException, tries: int) -> bool:
        return False


on_parked = ParkedHandler.decorator


def describe(message: Any) -> ParkedMessage:
    """What a parked message tells of itself: in our headers, or, where the broker parked it, in its own `x-death`."""
    headers, body = message.headers, parking.body_of(message)
    death = _death_of(headers)
    queue = headers.get(parking.QUEUE) or death.get("queue") or ""
    reason = headers.get(parking.REASON) or _reason_of(death)
    service = headers.get(parking.SERVICE) or str(queue).rpartition("--")[2]
    topic = headers.get(parking.TOPIC) or (death.get("routing-keys") or [""])[0]
    # The broker gives no id: the same message from the same death has the same one.
    known = _uuid(headers.get(parking.PARKED_ID)) or uuid5(NAMESPACE_OID, f"{queue} {death.get('time')} {body!r}")
    return ParkedMessage(
        id=str(known), service=printable(service, 64), queue=printable(queue, 255),
        topic=printable(topic, 128), reason=printable(reason), body=body.decode("latin-1"), headers=_plain(headers),
    )  # fmt: skip


def _death_of(headers: dict[str, Any]) -> dict[str, Any]:
    """The last death but those by which a message only waited for its next try."""
    deaths = headers.get("x-death")
    told = [one for one in deaths if isinstance(one, dict)] if isinstance(deaths, list) else []
    return next((one for one in told if one.get("reason") != "expired"), {})


def _reason_of(death: dict[str, Any]) -> str:
    if death.get("reason") == "delivery_limit":
        return f"handed out {parking.DELIVERY_LIMIT} times without an answer: its handler's process died over it"
    return f"the broker set it aside: {death.get('reason') or 'for a reason it does not tell'}"


def _uuid(given: object) -> UUID | None:
    try:
        return UUID(str(given))
    except ValueError:
        return None


def _plain(headers: dict[str, Any]) -> dict[str, Any]:
    """The sender's own headers, as far as they are worth showing."""
    return {
        printable(name, LONGEST_HEADER): printable(value, LONGEST_HEADER) if isinstance(value, str) else value
        for name, value in headers.items()
        if name not in parking.OURS and isinstance(value, str | int | float | bool) and not name.startswith("x-")
    }

"""How times, sizes and states read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

ROLES = ("reader", "member", "admin")
DONE = ("succeeded", "failed", "cancelled")
# Which look a word has; what is none of these is neutral. The word itself always stands beside the colour.
_LOOKS = {
    "good": ("active", "succeeded", "completed", "OK", "passed"),
    "busy": ("requested", "building", "updating", "deleting", "pending", "running", "cancelling", "waiting", "retrying"),
    "warn": ("degraded", "stopped", "off", "cancelled", "LAGGING", "SSH_DOWN_DB_UP"),
    "bad": ("failed", "DB_DOWN", "DISK_FULL", "HOST_DOWN", "IDENTITY_MISMATCH", "NET_SPLIT", "REPLICATION_BROKEN"),
}  # fmt: skip
LOOKS = {word: look for look, words in _LOOKS.items() for word in words}
_JUST_NOW, _MINUTE, _HOUR, _DAY = 15, 60, 3600, 86_400
_KIB = 1024


def badge(word: str) -> Markup:
    """A state, as a word with a look."""
    return Markup('<span class="badge {}">{}</span>').format(LOOKS.get(word, "plain"), word.replace("_", " "))


def moment(stamp: str | None) -> Markup:
    """A time of the API's, to the second."""
    if not stamp:
        return Markup("<span>—</span>")
    shown = datetime.fromisoformat(stamp).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}">{}</time>').format(stamp, shown)


def span(seconds: float) -> str:
    """How long something took or is ago, no finer than is of use."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def ago(seconds: float) -> str:
    """How long ago something was. What is fresh reads the same for a while, so that a page which says it stays the same."""
    if seconds < _JUST_NOW:
        return "just now"
    return "less than a minute ago" if seconds < _MINUTE else f"{span(seconds)} ago"


def took(begun: Mapping[str, Any], now: datetime) -> str:
    """How long a step or an operation has taken, or takes until now."""
    began = datetime.fromisoformat(begun.get("started_at") or begun["created_at"])
    ended = begun["finished_at"]
    return span(max(0.0, ((datetime.fromisoformat(ended) if ended else now) - began).total_seconds()))


def size(count: int | None) -> str:
    """Bytes, in the largest unit of which there is one."""
    if count is None:
        return "—"
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < _KIB:
            break
        amount, unit = amount / _KIB, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def indented(value: Any) -> str:
    """JSON, a line for each thing in it."""
    return json.dumps(value, indent=1, ensure_ascii=False)


def kind(name: str) -> str:
    """An operation's kind, as people say it."""
    return name.replace("_", " ").capitalize()


def may(who: Mapping[str, Any] | None, role: str) -> bool:
    """Whether a visitor's role suffices. What is hidden by this the API refuses as well."""
    return who is not None and who["role"] in ROLES and ROLES.index(who["role"]) >= ROLES.index(role)

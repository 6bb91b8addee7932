"""How far the log of a cluster is kept, in words."""

from __future__ import annotations

from typing import Any

from client.terminal import age


def told(archive: dict[str, Any]) -> str:
    """One sentence, and what is wrong with it where something is."""
    until = archive["until"]
    words = f"its log is kept until {until}, {age(until)} ago" if until else "its log is kept from now on"
    if archive["broken_at"]:
        words += f"; it has a hole, found {age(archive['broken_at'])} ago: a full backup mends it"
    return f"{words}; {archive['trouble']}" if archive["trouble"] else words


def moments(restorable: dict[str, Any] | None) -> str:
    """Which moments can be restored, in words; empty where none can."""
    if restorable is None:
        return ""
    return ", and ".join(f"from {one['since']} to {one['until']}" for one in restorable["windows"])

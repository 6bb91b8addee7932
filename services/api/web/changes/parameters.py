"""Parameters as they were once, or as their group has them by now."""

from __future__ import annotations

from services.api.web.changes.base import Call, Field, Given, Kind, number

BACK = "parameters"
RESTART = Field(
    "restart",
    "Restart for what needs it",
    "Node after node, right after. Without this it waits for the next restart.",
    is_box=True,
)


def at_once(given: Given) -> dict[str, str]:
    """The query that has engines restarted for what they read only as they start, where the box is ticked."""
    return {"restart": "now"} if given.get("restart") == "on" else {}


def _rollback(given: Given) -> Call:
    return Call("POST", "parameters/rollback", {"version": number(given["version"])}, at_once(given))


def _apply(given: Given) -> Call:
    return Call("POST", "parameters/apply", {}, at_once(given))


KINDS = {
    "rollback": Kind(
        "Parameters of {cluster} as in version {version}", "Set them so", "All that was changed since is as it was then. It is a new version, "
        "which can be taken back as well.", _rollback, (Field("version", "Version", fixed=True), RESTART), back=BACK,
    ),
    "apply-group": Kind(
        "Parameters of {cluster} as its group has them", "Bring it up to date", "Its own parameters go before the group’s, as ever.", _apply,
        (RESTART,), back=BACK,
    ),
}  # fmt: skip

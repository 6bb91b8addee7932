"""Whether a database may run with what a user has chosen: pure judgement over what its engine says of its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from shared.contracts.parameters import ParameterDefinition, moved, spelled
from shared.errors import FieldError, Invalid

Definitions = Mapping[str, ParameterDefinition]
FIELD = "parameters"
_STANDBY = (
    "a replica needs at least what its primary has, so it is changed node by node with a restart of each: "
    "ask with `?restart=now`"
)


def checked(known: Definitions, given: Mapping[str, Any], present: Collection[str] = ()) -> dict[str, str | None]:
    """The values as the engine writes them, under the names that it has; None stands for its default. Raises Invalid.

    What is `present` may be given up, also where the engine knows it no longer.
    """
    values, errors = dict[str, str | None](), list[FieldError]()
    for asked, value in given.items():
        name = _known_as(known, asked)
        try:
            values[name] = None if value is None and asked in present else _value(known, name, value)
        except ValueError as error:
            errors.append(FieldError(f"{FIELD}.{asked}", str(error)))
    refuse(errors)
    return values


def merged(before: Mapping[str, str], values: Mapping[str, str | None], *, whole: bool) -> dict[str, str]:
    """The set that is wanted: what was there with these, or with `whole` these alone."""
    both = {**({} if whole else before), **values}
    return {name: value for name, value in sorted(both.items()) if value is not None}


def see_order(known: Definitions, before: Mapping[str, str], after: Mapping[str, str], *, restart_now: bool) -> None:
    """Raise Invalid where the nodes of a cluster of several could not follow each other on the way from one set to another."""
    moves = {name: moved(known[name], before, after) for name in known if known[name].standby}
    names = sorted(name for name, direction in moves.items() if direction)
    if names and not restart_now:
        refuse([FieldError(f"{FIELD}.{name}", _STANDBY) for name in names])
    if {1, -1} <= set(moves.values()):
        words = "one is raised and another lowered, which begin at other ends of the cluster: do one after the other"
        refuse([FieldError(f"{FIELD}.{name}", words) for name in names])


def refuse(errors: list[FieldError]) -> None:
    """Raise Invalid for objections, if there are any."""
    if errors:
        raise Invalid("the request was not accepted", tuple(errors), what_to_do="mend the fields named in `errors`")


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    """What changes between two sets: a name, its value before, its value after; None where it is not set."""
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def _known_as(known: Definitions, asked: str) -> str:
    """The engine's own spelling of a name, where it differs in case and hyphens only."""
    for name in (asked, asked.lower(), asked.lower().replace("-", "_"), asked.lower().replace("_", "-")):
        if name in known:
            return name
    return asked


def _value(known: Definitions, name: str, value: Any) -> str | None:
    definition = known.get(name)
    if definition is None:
        alike = get_close_matches(name, known, n=1)
        raise ValueError("there is no such parameter" + (f"; did you mean {alike[0]}?" if alike else ""))
    if definition.refused:
        raise ValueError(f"may not be changed: {definition.refused}")
    return None if value is None else spelled(definition, value)

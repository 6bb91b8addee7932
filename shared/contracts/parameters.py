"""A database's parameters: what its engine says of each, what a user may write for it, and whether two spellings are one value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

INTEGER, REAL, BOOLEAN, ENUM, SET, FLAGS, TEXT = "integer", "real", "boolean", "enum", "set", "flags", "text"
# How a parameter stands on a node: the engine runs with it; it waits for a restart; the engine has made another value of it.
LIVE, RESTART, ADJUSTED = "live", "restart", "adjusted"
LONGEST = 4096
_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
_NUMBER = re.compile(r"([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-z]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class ParameterDefinition:
    """One parameter, in its engine's own words.

    `kind` is integer, real, boolean, enum, set, flags (`one=on,other=off`) or text. `minimum` and `maximum` are in `unit`, as text, for they may be larger
    than what JSON's readers keep; empty for none. `suffixes` are what may stand behind a number, with the units that each is.
    `values` of a boolean are the engine's words for false and true, of an enum or a set what may be chosen. `restart`: it is
    read only when the engine starts. `standby`: a replica needs at least what its primary has. `refused` says why nobody may
    change it here; empty where one may.
    """

    name: str
    kind: str
    unit: str = ""
    minimum: str = ""
    maximum: str = ""
    suffixes: dict[str, float] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    default: str = ""
    restart: bool = False
    standby: bool = False
    description: str = ""
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """What a node's engine says of parameters that were set: the value of each, and how it stands (LIVE, RESTART, ADJUSTED)."""

    instance_id: str
    live: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)


def spelled(known: ParameterDefinition, value: Any) -> str:
    """A user's value as the engine writes it. Raises ValueError with what it must be."""
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if _CONTROL.search(text) or len(text) > LONGEST:
        raise ValueError(f"must be one line of at most {LONGEST} characters")
    if known.kind == BOOLEAN:
        return _truth(known, text)
    if known.kind == ENUM:
        return _one_of(known, text)
    if known.kind == SET:
        return ",".join(_one_of(known, one.strip()) for one in text.split(",") if one.strip())
    if known.kind == FLAGS:
        return ",".join(_flag(known, one.strip()) for one in text.split(",") if one.strip())
    return _in_range(known, text) if known.kind in (INTEGER, REAL) else text


def number(known: ParameterDefinition, text: str) -> Decimal:
    """A number in the definition's unit. Raises ValueError with what it must be."""
    found = _NUMBER.fullmatch(text.strip())
    factor = Decimal(1)
    if found is not None and found[2]:
        suffix = _suffix(known, found[2])
        factor = Decimal(str(known.suffixes[suffix])) if suffix else Decimal(0)
    if found is None or not factor:
        raise ValueError(_number_words(known))
    try:
        return Decimal(found[1]) * factor
    except InvalidOperation as error:
        raise ValueError(_number_words(known)) from error


def same(known: ParameterDefinition, one: str, other: str) -> bool:
    """Whether two spellings are the same value; of flags `one` may name some, and the others are as they are."""
    if known.kind == FLAGS:
        return set(one.lower().split(",")) <= set(other.lower().split(","))
    if known.kind in (INTEGER, REAL):
        try:
            return abs(number(known, one) - number(known, other)) <= abs(number(known, one)) * Decimal("1e-6")
        except ValueError:
            return one == other
    if known.kind == SET:
        return {part.strip().lower() for part in one.split(",")} == {part.strip().lower() for part in other.split(",")}
    return one.strip().lower() == other.strip().lower()


def moved(known: ParameterDefinition, before: Mapping[str, str], after: Mapping[str, str]) -> int:
    """How a number's wanted value moves between two sets: 1 up, -1 down, 0 not at all; one that is not set has its default."""
    was, will = (number(known, values.get(known.name, known.default)) for values in (before, after))
    return int(will > was) - int(will < was)


def _truth(known: ParameterDefinition, text: str) -> str:
    no, yes = known.values or ("off", "on")
    if text.lower() in (*_TRUE, yes.lower()):
        return yes
    if text.lower() in (*_FALSE, no.lower()):
        return no
    raise ValueError(f"must be {yes} or {no}")


def _flag(known: ParameterDefinition, text: str) -> str:
    name, _, state = text.lower().partition("=")
    if name not in known.values or state not in ("on", "off"):
        raise ValueError(f"must be flags as in `{next(iter(known.values), 'name')}=on`, of {', '.join(known.values)}")
    return f"{name}={state}"


def _one_of(known: ParameterDefinition, text: str) -> str:
    by_word = {one.lower(): one for one in known.values}
    word = text.lower()
    for words in (_TRUE, _FALSE):
        if word in words and word not in by_word:
            word = next((one for one in words if one in by_word), word)
    if word not in by_word:
        raise ValueError(f"must be one of {', '.join(known.values)}")
    return by_word[word]


def _in_range(known: ParameterDefinition, text: str) -> str:
    value = number(known, text)
    least = Decimal(known.minimum) if known.minimum else None
    most = Decimal(known.maximum) if known.maximum else None
    if known.kind == INTEGER and value != value.to_integral_value():
        raise ValueError(f"must be a whole number{_of(known)}")
    if (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(f"must be between {known.minimum or 'any'} and {known.maximum or 'any'}{_of(known)}")
    found = _NUMBER.fullmatch(text)
    assert found is not None
    return found[1] + (_suffix(known, found[2]) if found[2] else "")


def _suffix(known: ParameterDefinition, given: str) -> str:
    """The suffix as the engine writes it; empty where it knows no such."""
    if given in known.suffixes:
        return given
    alike = [one for one in known.suffixes if one.lower() == given.lower()]
    return alike[0] if len(alike) == 1 else ""


def _of(known: ParameterDefinition) -> str:
    return f" ({known.unit})" if known.unit else ""


def _number_words(known: ParameterDefinition) -> str:
    behind = f", also with {', '.join(known.suffixes)}" if known.suffixes else ""
    return f"must be a number{_of(known)}{behind}"

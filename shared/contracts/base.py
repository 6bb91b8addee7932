"""What every event is: a frozen dataclass with a topic, from which its marshmallow schema is derived."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, get_args, get_origin, get_type_hints
from uuid import uuid4

import marshmallow as ma

from shared import clock

E = TypeVar("E", bound="Event")
T = TypeVar("T")
Maker = Callable[[Any], Any]


def new_id() -> str:
    """A fresh UUID, as text."""
    return str(uuid4())


def utcnow() -> datetime:
    """The present, aware, in UTC."""
    return clock.SYSTEM.now()


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that a service announces. `event_id` makes redelivery harmless."""

    topic: ClassVar[str]
    publisher: ClassVar[str]
    lasting: ClassVar[bool]

    event_id: str = field(default_factory=new_id)
    occurred_at: datetime = field(default_factory=utcnow)

    def to_payload(self) -> dict[str, Any]:
        """The JSON-ready body of this event's message."""
        return dump(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Read a message's body; unknown keys are ignored. Raises marshmallow.ValidationError."""
        return load(cls, payload)


_SCHEMAS: dict[type[Any], ma.Schema] = {}
_HINTS: dict[type[Any], dict[str, Any]] = {}
# DTrove's own events; one that a stranger declares for a service of his own is his to list.
REGISTRY: dict[tuple[str, str], type[Event]] = {}


def event(topic: str, publisher: str, *, lasting: bool = True) -> typing.Callable[[type[E]], type[E]]:
    """Class decorator: name the event's topic and the service that announces it (`*`: every service).

    A `lasting` event of an operation is kept by its sender once it was sent, and sent again should the broker have lost it.
    """

    def register(cls: type[E]) -> type[E]:
        cls.topic = topic
        cls.publisher = publisher
        cls.lasting = lasting
        if cls.__module__.startswith(f"{__package__}."):
            REGISTRY[publisher, topic] = cls
        return cls

    return register


def schema_of(cls: type[Any]) -> ma.Schema:
    """The marshmallow schema derived from dataclass `cls`. Raises TypeError on a type it has no field for."""
    if cls not in _SCHEMAS:
        _SCHEMAS[cls] = _derive(cls)
    return _SCHEMAS[cls]


def _hints_of(cls: type[Any]) -> dict[str, Any]:
    """The types of a class's fields. Working them out from their text takes longer than all the rest of reading an event."""
    if cls not in _HINTS:
        _HINTS[cls] = get_type_hints(cls)
    return _HINTS[cls]


def _derive(cls: type[Any]) -> ma.Schema:
    hints = _hints_of(cls)
    declared: dict[str, ma.fields.Field[Any]] = {}
    for item in fields(cls):
        required = item.default is MISSING and item.default_factory is MISSING
        declared[item.name] = _field_of(hints[item.name], required)
    return ma.Schema.from_dict(declared, name=f"{cls.__name__}Schema")(unknown=ma.EXCLUDE)


def dump(value: Any) -> dict[str, Any]:
    """Turn a contract dataclass into JSON-ready data."""
    result = schema_of(type(value)).dump(value)
    assert isinstance(result, dict)
    return result


def load(cls: type[T], payload: Mapping[str, Any]) -> T:
    """Build contract dataclass `cls` from JSON data, ignoring unknown keys. Raises marshmallow.ValidationError."""
    return typing.cast("T", _maker(typing.cast("Any", cls))(schema_of(cls).load(dict(payload))))


@cache
def _maker(kind: Any) -> Maker:
    """What makes a value of a type from what its schema has read. To look at types takes longer than to make values."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _maker(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        member = _maker(args[0])
        return lambda value: None if value is None else tuple(map(member, value))
    if is_dataclass(kind):
        return _maker_of_class(typing.cast("type", kind))
    return lambda value: value


def _maker_of_class(cls: type[Any]) -> Maker:
    makers = {name: _maker(hint) for name, hint in _hints_of(cls).items()}

    def make(value: Any) -> Any:
        return None if value is None else cls(**{name: makers[name](item) for name, item in value.items()})

    return make


_SCALARS: dict[type, type[ma.fields.Field[Any]]] = {
    int: ma.fields.Integer,
    float: ma.fields.Float,
    bool: ma.fields.Boolean,
    str: ma.fields.String,
}


def _field_of(kind: Any, required: bool, allow_none: bool = False) -> ma.fields.Field[Any]:
    options: dict[str, Any] = {"required": required, "allow_none": allow_none}
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [arg for arg in args if arg is not type(None)]
        return _field_of(inner, required, allow_none=True)
    if kind is datetime:
        return ma.fields.AwareDateTime(format="iso", default_timezone=UTC, **options)
    if origin is tuple:
        return ma.fields.List(_field_of(args[0], required=False), **options)
    if origin is dict:
        return ma.fields.Dict(keys=_field_of(args[0], False), values=_field_of(args[1], False), **options)
    if is_dataclass(kind):
        return ma.fields.Nested(lambda: schema_of(typing.cast("type", kind)), **options)
    if kind is Any:
        return ma.fields.Raw(**{**options, "allow_none": True})
    if kind in _SCALARS:
        return _SCALARS[kind](**options)
    raise TypeError(f"no schema field for {kind!r}")

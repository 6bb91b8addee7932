"""How the schemas of answers are written down."""

from __future__ import annotations

from typing import Any, cast

import marshmallow as ma
from marshmallow import fields


class Shown(ma.Schema):
    """An object of an answer; every field is always there."""

    class Meta:
        """marshmallow's own switch."""

        unknown = ma.RAISE


def text(*, null: bool = False, words: str = "") -> fields.String:
    """A text."""
    return fields.String(required=True, allow_none=null, metadata=_described(words))


def identity(*, null: bool = False) -> fields.UUID:
    """An id."""
    return fields.UUID(required=True, allow_none=null)


def moment(*, null: bool = False) -> fields.AwareDateTime:
    """A time, in UTC."""
    return fields.AwareDateTime(required=True, allow_none=null)


def number(*, null: bool = False, words: str = "") -> fields.Integer:
    """A whole number."""
    return fields.Integer(required=True, strict=True, allow_none=null, metadata=_described(words))


def one(schema: type[Shown], *, null: bool = False) -> fields.Nested:
    """An object in the object."""
    return fields.Nested(schema, required=True, allow_none=null)


def many(schema: type[Shown]) -> fields.List[Any]:
    """Objects in the object."""
    return fields.List(fields.Nested(schema), required=True)


def page_of(noun: str, schema: type[Shown]) -> type[Shown]:
    """A page of a list: the things under their noun, and the URL of the next page."""
    following = text(null=True, words="the URL of the next page; null on the last one")
    made = Shown.from_dict({noun: many(schema), "next": following}, name=f"{schema.__name__}List")
    made.__doc__ = f"A page of {noun}."
    return cast("type[Shown]", made)


def _described(words: str) -> dict[str, str]:
    return {"description": words} if words else {}

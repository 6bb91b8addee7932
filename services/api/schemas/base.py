"""How input is taken in: strictly, and with a sentence for each field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from shared.errors import FieldError, Invalid

ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z"
NAME_WORDS = "must be 1 to 63 lower-case letters, digits and hyphens, begin with a letter, and not end with a hyphen"
MAX_DEPTH, MAX_ERRORS, MAX_ECHO = 32, 50, 100
# Only good ones are kept, whose values are short.
KEPT_QUERIES = 512
# A NUL byte no database stores; half a surrogate pair is no character, and has no UTF-8.
NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class Strict(ma.Schema):
    """Refuses what it does not know."""

    class Meta:
        """marshmallow's own switch."""

        unknown = ma.RAISE

    error_messages = {"unknown": "is not a known field", "type": "must be a JSON object"}


class Empty(Strict):
    """An action without input."""


class Count(fields.Integer):
    """A whole number in a query: digits, and nothing that Python alone takes for a number."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> int:
        if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise self.make_error("invalid", input=value)
        return int(super()._deserialize(value, attr, data, **options) or 0)


class Flag(fields.Boolean):
    """True or false in JSON, and nothing that Python alone takes for it, as 1."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def label() -> fields.String:
    """A name that the user chooses, also a host's: a DNS label."""
    return fields.String(required=True, validate=validate.Regexp(NAME, error=NAME_WORDS), metadata={"example": "shop"})


def whole(
    low: int, high: int, *, default: Any = ma.missing, allow_none: bool = False, required: bool = False, **metadata: Any
) -> fields.Integer:
    """A whole number from `low` to `high`; `true` and 3.0 are none."""
    words: Any = {"invalid": "must be a whole number", "required": "is required"}
    span = validate.Range(low, high, error=f"must be between {low} and {high}")
    return fields.Integer(strict=True, load_default=default, allow_none=allow_none, required=required, validate=span,
                          error_messages=words, metadata=metadata)  # fmt: skip


def flag(default: Any = ma.missing, **metadata: Any) -> Flag:
    """A field of a body that is true or false."""
    return Flag(load_default=default, metadata=metadata, error_messages={"invalid": "must be true or false"})


def switch(**metadata: Any) -> fields.Boolean:
    """A parameter of a query that is true or false; without a value it is on."""
    return fields.Boolean(truthy={"", "true", "True", "1", "yes", "on"}, falsy={"false", "False", "0", "no", "off"},
                          load_default=False, metadata=metadata,
                          error_messages={"invalid": "must be true or false"})  # fmt: skip


def accept(schema: type[ma.Schema], body: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a body. Raises Invalid that names each field."""
    wrong = [FieldError(_cut(path), reason) for path, reason in _no_text(body, "", 1)]
    if not wrong:
        try:
            loaded: dict[str, Any] = _made(schema).load(body)
            return loaded
        except ma.ValidationError as error:
            wrong = [FieldError(_cut(path), reason) for path, reason in _flatten(error.messages)]
    raise Invalid("the request was not accepted", tuple(wrong[:MAX_ERRORS]),
                  what_to_do="mend the fields named in `errors`")  # fmt: skip


def accept_query(schema: type[ma.Schema], params: Mapping[str, str | list[str]]) -> dict[str, Any]:
    """Validate the parameters of a query. Raises Invalid that names each field.

    Consoles ask the same all day long: what was found good once is not looked at again.
    """
    texts = tuple((name, value) for name, value in params.items() if isinstance(value, str))
    return dict(_good(schema, texts)) if len(texts) == len(params) else accept(schema, params)


@lru_cache(KEPT_QUERIES)
def _good(schema: type[ma.Schema], params: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return accept(schema, dict(params))


@cache
def _made(schema: type[ma.Schema]) -> ma.Schema:
    return schema()


def _cut(path: str) -> str:
    text = NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", path)
    return text if len(text) <= MAX_ECHO else text[: MAX_ECHO - 1] + "…"


def _no_text(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Where a text holds what no database and no encoding has a place for, or the nesting has no end."""
    if isinstance(value, str):
        if NO_TEXT.search(value):
            yield path, "holds a NUL byte or half a character"
    elif isinstance(value, Mapping | list):
        if depth > MAX_DEPTH:
            yield path, f"is nested deeper than {MAX_DEPTH} levels"
            return
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            below = f"{path}.{key}" if path else str(key)
            yield from _no_text(key, below, depth)
            yield from _no_text(inner, below, depth + 1)


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            below = f"{path}.{key}" if path else str(key)
            # What is wrong with an object as a whole is told of the field that holds it.
            yield from _flatten(inner, path if path and key == ma.exceptions.SCHEMA else below)
    elif isinstance(messages, list):
        yield path, "; ".join(str(message) for message in messages)
    else:
        yield path, str(messages)

"""What the HTTP edge accepts: strict marshmallow schemas that refuse unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from shared.errors import FieldError, Invalid

NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
NAME_WORDS = "must be 1 to 63 lower-case letters, digits and hyphens, begin with a letter, and not end with a hyphen"
_INTEGER_WORDS = "must be a whole number"


class Strict(ma.Schema):
    """Refuses what it does not know."""

    class Meta:
        """marshmallow's own switch."""

        unknown = ma.RAISE

    error_messages = {"unknown": "is not a known field"}


def _whole(low: int, high: int, *, required: bool = False, default: Any = ma.missing) -> fields.Integer:
    words: Any = {"invalid": _INTEGER_WORDS, "required": "is required"}
    span = validate.Range(low, high, error=f"must be between {low} and {high}")
    return fields.Integer(strict=True, required=required, load_default=default, validate=span, error_messages=words)


class ClusterCreate(Strict):
    """POST /v1/clusters."""

    name = fields.String(required=True, validate=validate.Regexp(NAME, error=NAME_WORDS))
    datastore = fields.String(required=True, validate=validate.Length(1, 255))
    size = _whole(1, 1000, default=1)
    flavor = fields.String(load_default="small", validate=validate.Length(1, 255))
    volume_gb = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, 65536))
    deletion_protection = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class ClusterPatch(Strict):
    """PATCH /v1/clusters/{id}."""

    name = fields.String(validate=validate.Regexp(NAME, error=NAME_WORDS))
    deletion_protection = fields.Boolean(truthy={True}, falsy={False})


class Perform(Strict):
    """POST /v1/instances/{id}/perform."""

    name = fields.String(required=True, validate=validate.Length(1, 255))
    commands = fields.List(
        fields.String(validate=validate.Length(1, 65_536)), required=True, validate=validate.Length(1, 100)
    )


class DatastoreCreate(Strict):
    """POST /v1/datastores."""

    manager = fields.String(required=True, validate=validate.Length(1, 255))
    version = fields.String(required=True, validate=validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$"))
    image = fields.String(load_default="debian-12", validate=validate.Length(1, 255))
    packages = fields.List(fields.String(validate=validate.Regexp(r"^[a-z0-9][a-z0-9+.:=~-]*$")), required=True)
    default_parameters = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)


class DatastorePatch(Strict):
    """PATCH /v1/datastores/{id}."""

    image = fields.String(validate=validate.Length(1, 255))
    packages = fields.List(fields.String(validate=validate.Regexp(r"^[a-z0-9][a-z0-9+.:=~-]*$")))
    default_parameters = fields.Dict(keys=fields.String(), values=fields.String())


class TokenCreate(Strict):
    """POST /v1/tokens."""

    name = fields.String(required=True, validate=validate.Length(1, 255))
    project = fields.String(load_default="default", validate=validate.Length(1, 255))
    role = fields.String(load_default="member", validate=validate.OneOf(("reader", "member", "admin")))
    expires_at = fields.AwareDateTime(load_default=None, allow_none=True)


class ProjectCreate(Strict):
    """POST /v1/projects."""

    name = fields.String(required=True, validate=validate.Regexp(NAME, error=NAME_WORDS))


class Empty(Strict):
    """An action without input."""


def accept(schema: type[ma.Schema], body: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a body. Raises Invalid that names each field."""
    try:
        loaded: dict[str, Any] = schema().load(body)
        return loaded
    except ma.ValidationError as error:
        found = tuple(FieldError(name, reason) for name, reason in _flatten(error.messages))
        raise Invalid("the request was not accepted", found, what_to_do="mend the fields named in `errors`") from error


def _flatten(messages: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(messages, dict):
        return [
            pair
            for name, inner in messages.items()
            for pair in _flatten(inner, f"{prefix}.{name}" if prefix else str(name))
        ]
    if isinstance(messages, list):
        return [(prefix, "; ".join(str(message) for message in messages))]
    return [(prefix, str(messages))]

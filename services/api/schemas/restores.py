"""What the bodies of requests may be that want data of a backup: for a new cluster, or in place of those that one has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from services.api.schemas.base import ID, Strict

FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)
_MOMENT_WORDS = "must be a moment between 2000 and 2200"


def moment_choice(words: str) -> fields.AwareDateTime:
    """A moment that may be chosen."""
    return fields.AwareDateTime(
        load_default=None, allow_none=True, validate=validate.Range(FIRST_MOMENT, LAST_MOMENT, error=_MOMENT_WORDS),
        metadata={"description": words},
    )  # fmt: skip


class RestoreChoice(Strict):
    """What a cluster is to begin with: its databases, users and data are those of the backup, or of a moment after it."""

    backup = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(ID, error="must be a UUID"),
        metadata={"description": "a completed one of this project, of the same datastore", "format": "uuid"},
    )  # fmt: skip
    cluster = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(1, 255),
        metadata={"description": "in place of a backup: whose data, by id or name, also where it is gone; the best backup is chosen"},
    )  # fmt: skip
    time = moment_choice(
        "what was committed by then, by the database's clock, and nothing later; null: the backup's own end"
    )

    @ma.validates_schema(skip_on_field_errors=True)
    def _is_one(self, data: dict[str, Any], **_: Any) -> None:
        if data["backup"] is None and data["cluster"] is None:
            raise ma.ValidationError("is required, or a `cluster` and a `time`", "backup")
        if data["backup"] is not None and data["cluster"] is not None:
            raise ma.ValidationError("must be left out where a backup is named", "cluster")
        if data["cluster"] is not None and data["time"] is None:
            raise ma.ValidationError("is required with a cluster: or name one of its backups", "time")


class RestoreInPlace(Strict):
    """What a cluster is to have in place of its data: those of a backup, or of a moment."""

    backup = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(ID, error="must be a UUID"),
        metadata={"description": "a completed one of this project, of the same datastore; null: the best one for `time`", "format": "uuid"},
    )  # fmt: skip
    time = moment_choice(
        "what was committed by then, by the database's clock, and nothing later; null: the backup's own end"
    )

    @ma.validates_schema(skip_on_field_errors=True)
    def _is_one(self, data: dict[str, Any], **_: Any) -> None:
        if data["backup"] is None and data["time"] is None:
            raise ma.ValidationError("is required, or a `time`", "backup")

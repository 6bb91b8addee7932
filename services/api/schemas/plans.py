"""Plans: what a change would do, before it does."""

from __future__ import annotations

from marshmallow import fields

from services.api.schemas.answer import Shown, many, one, text


class PlannedCommand(Shown):
    """One command."""

    title = text()
    command = text()


class PlannedFile(Shown):
    """One file."""

    path = text()
    diff = text()


class PlannedHost(Shown):
    """What happens on one host."""

    host = text()
    commands = many(PlannedCommand)
    files = many(PlannedFile)


class PlannedChange(Shown):
    """Host by host; what restarts; what leads elsewhere from then on; what is lost."""

    hosts = many(PlannedHost)
    restarts = fields.List(fields.String(), required=True)
    moves = fields.List(fields.String(), required=True)
    lost = fields.List(fields.String(), required=True)


class Plan(Shown):
    """A plan."""

    plan = one(PlannedChange)

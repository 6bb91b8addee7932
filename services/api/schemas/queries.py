"""What may stand behind the question mark of a URL."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.base import ID, Count, Strict, switch

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
_ID = validate.Regexp(ID, error="must be a UUID")
_MARKER = "the last id of the page before; `next` has it in it"


def _limit() -> Count:
    words = f"must be a number from 1 to {MAX_LIMIT}"
    return Count(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT, error=words),
                 error_messages={"invalid": words})  # fmt: skip


class Nothing(Strict):
    """No parameters."""


class Page(Strict):
    """A page of a list."""

    limit = _limit()
    marker = fields.String(load_default="", validate=validate.Length(max=255), metadata={"description": _MARKER})


class ClusterPage(Page):
    """Clusters, all or some."""

    status = fields.String(load_default="", validate=validate.Length(max=64))
    name = fields.String(load_default="", validate=validate.Length(max=255))


class OperationPage(Page):
    """Operations, all or those of one cluster."""

    cluster = fields.String(load_default="", validate=_ID)


class BackupPage(Page):
    """Backups, all or some."""

    cluster = fields.String(load_default="", validate=_ID)
    status = fields.String(load_default="", validate=validate.Length(max=64))
    deleted_clusters = switch(description="only those whose cluster is gone")


class ParkedPage(Page):
    """Parked messages, all or those that one service was to have."""

    service = fields.String(load_default="", validate=validate.Length(max=64))


class AuditPage(Strict):
    """What was done, all or in one project or one request."""

    limit = _limit()
    marker = Count(
        load_default=0, error_messages={"invalid": "must be the `id` of a line"}, metadata={"description": _MARKER}
    )
    project = fields.String(load_default="", validate=_ID)
    request = fields.String(load_default="", validate=validate.Length(max=64))


class Plan(Strict):
    """Only a plan?"""

    plan = switch(description="answer 200 with the plan, and change nothing")


class Delete(Plan):
    """Only a plan, and is there to be a last backup?"""

    final_backup = switch(description="make a backup first, and delete only once that is completed")


class ParameterChange(Plan):
    """Only a plan, and whether engines are restarted for it?"""

    restart = fields.String(
        load_default="", validate=validate.OneOf(("", "now"), error="must be `now`, or left out"),
        metadata={"description": "now: restart the engines for what they read only as they start, node by node"},
    )  # fmt: skip


class Follow(Strict):
    """Once, or as it goes on?"""

    follow = switch(description="server-sent events, until the end")


MAX_LINES, DEFAULT_LINES = 2000, 200


class Logs(Follow):
    """The end of a log, once or as it goes on."""

    _words = f"must be a number from 0 to {MAX_LINES}"
    lines = Count(load_default=DEFAULT_LINES, validate=validate.Range(0, MAX_LINES, error=_words),
                  error_messages={"invalid": _words}, metadata={"description": "how many of the last lines"})  # fmt: skip


class EventPage(Follow):
    """Events after one, once or as they come."""

    limit = _limit()
    since = Count(load_default=0, error_messages={"invalid": "must be the id of an event"},
                  metadata={"description": "the id of the last event that is known"})  # fmt: skip
    _words = f"must be a number from 0 to {MAX_LIMIT}"
    latest = Count(load_default=0, validate=validate.Range(0, MAX_LIMIT, error=_words), error_messages={"invalid": _words},
                   metadata={"description": "begin with so many of the last ones, and leave `since` aside"})  # fmt: skip


class FlavorList(Strict):
    """Flavors, all or those that a datastore can live in."""

    datastore = fields.String(load_default="", validate=validate.Length(max=255))

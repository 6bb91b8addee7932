"""Backups over the HTTP edge, as they are shown."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.domain.backups import Status
from services.api.schemas.answer import Shown, identity, moment, number, one, page_of, text
from services.api.schemas.shown import DatastoreRef, Flavor, OperationBrief, Problem


class BackupFacts(Shown):
    """What is known of a backup that is whole; null is what nobody has said."""

    engine = text(null=True, words="the engine's own version")
    begun_at = moment(null=True)
    ended_at = moment(null=True)
    position = text(null=True, words="where the engine's log stood at the end, in its own words")
    size_bytes = number(null=True, words="before compression")
    stored_bytes = number(null=True, words="what is kept")
    parts = number(null=True, words="in how many parts it is kept")


class Backup(Shown):
    """A backup, with what its cluster was when it was asked for."""

    id = identity()
    project = identity()
    cluster = identity()
    cluster_name = text()
    operation = identity(null=True)
    schedule = identity(null=True)
    kind = text(words="full or incremental")
    base = identity(null=True)
    store = text(words="empty: where backups usually go")
    status = fields.String(required=True, validate=validate.OneOf([str(one) for one in Status]))
    datastore = one(DatastoreRef)
    flavor = one(Flavor)
    volume_gb = number(null=True)
    facts = one(BackupFacts, null=True)
    message = text(words="why it is as it is, where that needs words")
    problem = one(Problem, null=True)
    created_at = moment()
    started_at = moment(null=True)
    finished_at = moment(null=True)


class BackupChange(OperationBrief):
    """The operation that makes or deletes a backup, and the backup."""

    backup = one(Backup)


Backups = page_of("backups", Backup)

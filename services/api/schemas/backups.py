"""Backups over the HTTP edge, as they are shown."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.domain.backups import Status
from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text
from services.api.schemas.shown import DatastoreRef, Flavor, OperationBrief, Problem, Restorable


class DatabaseTally(Shown):
    """What was counted of one database."""

    name = text()
    tables = number()
    rows = number(words="of Redis: keys")
    sums = number(words="tables with a checksum")


class Tally(Shown):
    """What was counted while the backup was made, of what nobody wrote to meanwhile: a proof holds the data against it."""

    databases = many(DatabaseTally)
    tables = number()
    rows = number()
    sums = number(words="tables with a checksum")
    changed = number(words="tables that were written to meanwhile: nothing is known of them")
    left = number(words="tables that were too large or too many")
    why = text(words="why nothing was counted; empty where it was")


class BackupFacts(Shown):
    """What is known of a backup that is whole; null is what nobody has said."""

    engine = text(null=True, words="the engine's own version")
    begun_at = moment(null=True)
    ended_at = moment(null=True)
    position = text(null=True, words="where the engine's log stood at the end, in its own words")
    size_bytes = number(null=True, words="before compression")
    stored_bytes = number(null=True, words="what is kept")
    parts = number(null=True, words="in how many parts it is kept")
    tally = one(Tally, null=True)


class ProofCheckShown(Shown):
    """What became of one check."""

    name = text()
    passed = fields.Boolean(required=True)
    found = text()
    message = text(words="why it did not pass")


class BackupProof(Shown):
    """What was seen when it was last restored for a proof, and has passed it."""

    at = moment()
    engine = text(words="the engine's own version")
    seconds = fields.Float(
        required=True, metadata={"description": "from the wish to an engine that answers with the data"}
    )
    restore_seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "of these, what fetching the data and beginning with them took"},
    )
    rpo_seconds = fields.Float(required=True, metadata={"description": "how old the newest data were then"})
    counts = fields.Dict(required=True, keys=fields.String(), values=fields.Integer(),
                         metadata={"description": "of databases, tables, rows or keys"})  # fmt: skip
    checks = many(ProofCheckShown)


class ProofFailure(Shown):
    """Why it has not passed its last proof; no checks where it did not come so far."""

    at = moment()
    problem = one(Problem)
    checks = many(ProofCheckShown)


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
    verified = one(BackupProof, null=True)
    verification_failed = one(ProofFailure, null=True)
    log_until = moment(null=True)
    message = text(words="why it is as it is, where that needs words")
    problem = one(Problem, null=True)
    created_at = moment()
    started_at = moment(null=True)
    finished_at = moment(null=True)


class BackupChange(OperationBrief):
    """The operation that makes, proves or deletes a backup, and the backup."""

    backup = one(Backup)


Backups = page_of("backups", Backup)


class ClusterBackups(Shown):
    """A page of a cluster's backups, and which moments of it can be restored; null: those of its backups alone."""

    backups = many(Backup)
    next = text(null=True, words="the URL of the next page; null on the last one")
    restorable = one(Restorable, null=True)

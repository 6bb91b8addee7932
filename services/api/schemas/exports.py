"""Exports over the HTTP edge: what may be asked, and what answers look like."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.domain.backups import Status
from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text
from services.api.schemas.base import Strict, flag
from services.api.schemas.queries import BackupPage
from services.api.schemas.shown import DatastoreRef, OperationBrief, Problem
from shared.contracts.exports import FORMATS

_FORMATS = sorted({name for names in FORMATS.values() for name in names})
_NAME = validate.Regexp(r"^[^\n\r]{1,200}\Z", error="must be a name of 1 to 200 characters, without line breaks")


def _names(description: str) -> fields.List[str]:
    each = fields.String(validate=_NAME)
    return fields.List(
        each, load_default=list, validate=validate.Length(max=200), metadata={"description": description}
    )


class ExportCreate(Strict):
    """An export that is wanted."""

    format = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(_FORMATS),
        metadata={"description": "of PostgreSQL sql or custom, of MariaDB sql, of Redis rdb or jsonl; null: the first of these"},
    )  # fmt: skip
    databases = _names("those that are wanted; none named: all")
    tables = _names(
        "those that are wanted of the one database, with a schema before a dot where one is meant; none named: all"
    )
    encrypted = flag(True, description="whether it is kept encrypted, to a key of its own")
    store = fields.String(
        load_default="", validate=validate.Regexp(r"^([a-z0-9][a-z0-9-]{0,62})?\Z", error="must be the name of a store"),
        metadata={"description": "the name of a store, as DTROVE_BACKUP_STORES has it; empty: where backups usually go"},
    )  # fmt: skip


class ExportPage(BackupPage):
    """Exports, all or some."""


class ExportedTable(Shown):
    """A table that is in it; of Redis a database, whose rows are its keys."""

    database = text()
    table = text()
    rows = number()


class ExportFacts(Shown):
    """What is known of an export that is whole."""

    engine = text(words="the engine's own version")
    tools = fields.Dict(required=True, keys=fields.String(), values=fields.String(),
                        metadata={"description": "versions of what has made it"})  # fmt: skip
    begun_at = moment()
    ended_at = moment()
    size_bytes = number(words="before compression")
    stored_bytes = number(words="of the file")
    sha256 = text(words="of the file")
    file = text(words="what the file is called")
    restore = text(words="what reads it, decrypted and unpacked, from standard input")
    command = text(words="the line of shell that restores it without DTrove, in a folder with the file and its key")
    databases = fields.List(fields.String(), required=True)
    tables = many(ExportedTable)
    tables_total = number(words="how many tables are in it; at most 1000 are named, and none in a list")
    rows = number()
    rows_exact = fields.Boolean(
        required=True, metadata={"description": "whether rows were counted in the very snapshot that was sent"}
    )


class Export(Shown):
    """An export."""

    id = identity()
    project = identity()
    cluster = identity()
    cluster_name = text()
    operation = identity()
    datastore = one(DatastoreRef)
    format = text()
    databases = fields.List(fields.String(), required=True, metadata={"description": "what was chosen; empty: all"})
    tables = fields.List(fields.String(), required=True, metadata={"description": "what was chosen; empty: all"})
    encrypted = fields.Boolean(required=True)
    store = text(words="empty: where backups usually go")
    status = fields.String(required=True, validate=validate.OneOf([str(one) for one in Status]))
    facts = one(ExportFacts, null=True)
    message = text(words="why it is as it is, where that needs words")
    problem = one(Problem, null=True)
    created_at = moment()
    started_at = moment(null=True)
    finished_at = moment(null=True)


class ExportChange(OperationBrief):
    """The operation that makes or deletes an export, and the export."""

    export = one(Export)


class ExportKey(Shown):
    """What opens an export."""

    key = text(words="a private key of age's, which opens this export and nothing else")
    file = text(words="what the file with it is called in the export's `command`")


Exports = page_of("exports", Export)

"""Imports over the HTTP edge: what may be asked, and what answers look like."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.domain.imports import Status
from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text
from services.api.schemas.base import ID, Strict
from services.api.schemas.exports import ExportedTable
from services.api.schemas.plans import PlannedChange
from services.api.schemas.queries import Page
from services.api.schemas.shown import OperationBrief, Problem

_STATUSES = [str(one) for one in Status]
_ID = validate.Regexp(ID, error="must be a UUID")


class ImportCreate(Strict):
    """An import that is wanted."""

    export = fields.String(
        required=True, validate=_ID,
        metadata={"description": "the id of an export of the same project and of the same engine, which is completed"},
    )  # fmt: skip


class ImportPage(Page):
    """Imports, all or some."""

    cluster = fields.String(load_default="", validate=_ID, metadata={"description": "of this cluster alone"})
    status = fields.String(load_default="", validate=validate.OneOf(["", *_STATUSES]),
                           metadata={"description": "with this status alone"})  # fmt: skip


class ImportFacts(Shown):
    """What has come in."""

    databases = fields.List(fields.String(), required=True)
    tables = many(ExportedTable)
    tables_total = number(words="how many tables have come in; at most 1000 are named, and none in a list")
    rows = number(words="as they were counted afterwards")
    rows_expected = number(words="as they were counted when they were sent")
    size_bytes = number(words="before compression")
    differing = fields.List(fields.String(), required=True,
                            metadata={"description": "tables that have other rows than they were sent with"})  # fmt: skip


class Import(Shown):
    """An import."""

    id = identity()
    project = identity()
    cluster = identity()
    cluster_name = text()
    operation = identity()
    export = identity()
    status = fields.String(required=True, validate=validate.OneOf(_STATUSES))
    facts = one(ImportFacts, null=True)
    message = text(words="why it is as it is, where that needs words")
    problem = one(Problem, null=True)
    created_at = moment()
    started_at = moment(null=True)
    finished_at = moment(null=True)


class PlannedContents(Shown):
    """What would come in."""

    databases = fields.List(fields.String(), required=True)
    chosen_tables = fields.List(fields.String(), required=True, metadata={"description": "empty: whole databases"})
    tables = many(ExportedTable)
    tables_total = number()
    rows = number()
    size_bytes = number(words="before compression")
    volume_gb = number(words="of each node of the cluster; 0: the disk of the server itself")
    there = fields.List(fields.String(), required=True, metadata={
        "description": "databases that are in the way, by what the server listed last; it is asked again before anything begins"})  # fmt: skip
    undone = text(words="how it is undone where it fails")


class PlannedImport(PlannedChange):
    """A change, and what would come in."""

    contents = one(PlannedContents)


class ImportPlan(Shown):
    """A plan."""

    plan = one(PlannedImport)


# A word of Python's own is no name of an attribute.
ImportChange = OperationBrief.from_dict({"import": one(Import)}, name="ImportChange")
ImportChange.__doc__ = "The operation that imports, and the import."
Imports = page_of("imports", Import)

"""Parameter groups: what may be asked, and what answers look like."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.answer import Shown, identity, many, moment, number, page_of, text
from services.api.schemas.answer import one as the
from services.api.schemas.base import Strict, label
from services.api.schemas.plans import Plan
from services.api.schemas.requests import chosen
from services.api.schemas.shown import DatastoreRef
from services.api.schemas.shown_parameters import Change


def _description() -> fields.String:
    return fields.String(validate=validate.Length(max=1000), metadata={"description": "what the group is for"})


class ParameterGroupCreate(Strict):
    """A group that is wanted."""

    name = label()
    datastore = fields.String(
        required=True, validate=validate.Length(1, 255),
        metadata={"description": "an id, or as in `mysql 10.11`", "example": "pgsql 15"},
    )  # fmt: skip
    description = fields.String(load_default="", validate=validate.Length(max=1000))
    parameters = chosen(load_default=dict)


class ParameterGroupPatch(Strict):
    """What may be changed of a group; of its parameters those that are named."""

    description = _description()
    parameters = chosen(load_default=dict)


class ParameterGroupPut(ParameterGroupPatch):
    """All parameters of a group."""

    parameters = chosen(required=True)


class GroupCluster(Shown):
    """A cluster that has a group."""

    id = identity()
    name = text()
    version = number(words="the version of the group that it has")
    state = text(words="applied; applying; or out_of_date: it has an older version until it is brought up to date")
    operation = identity(null=True)
    message = text(words="of one that is out of date: what stood, or stands, in the way")


class ParameterGroup(Shown):
    """A group."""

    id = identity()
    name = text()
    description = text()
    datastore = the(DatastoreRef)
    version = number(words="grows with every change of its parameters")
    parameters = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    author = text(words="who changed it last: a user of Keystone's, or the id of a token")
    created_at = moment()
    changed_at = moment()


class ParameterGroupAlone(ParameterGroup):
    """A group by itself, with the clusters that have it."""

    clusters = many(GroupCluster)


class ClusterMove(Shown):
    """What a change of a group means for a cluster."""

    id = identity()
    name = text()
    changes = many(Change)
    waits = text(null=True, words="why it would be out of date for now; null: it would be changed at once")


class GroupPlan(Plan):
    """The plan of all clusters that would be changed at once, and what changes for each that has the group."""

    clusters = many(ClusterMove)


ParameterGroups = page_of("parameter_groups", ParameterGroup)

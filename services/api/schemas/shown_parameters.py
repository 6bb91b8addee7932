"""What answers about parameters look like."""

from __future__ import annotations

from marshmallow import fields

from services.api.schemas.answer import Shown, identity, many, moment, number, one, text


class Definition(Shown):
    """A parameter of a datastore, as its engine says."""

    name = text()
    type = text(words="integer, real, boolean, enum, set, flags or text")
    unit = text(null=True, words="of a number without a suffix")
    minimum = text(null=True)
    maximum = text(null=True)
    values = fields.List(fields.String(), required=True, metadata={"description": "of a boolean, an enum or a set"})
    default = text(words="what it is where nobody has set it, and DTrove does not either")
    applies = text(words="live, or restart: only when the engine starts")
    description = text()
    refused = text(null=True, words="why nobody may change it here; null where one may")


class Definitions(Shown):
    """The parameters of a datastore, and the version of the engine that was asked."""

    engine = text()
    parameters = many(Definition)


class NodeValue(Shown):
    """What a node was last seen to run with."""

    instance = identity()
    name = text()
    live = text()
    state = text(words="live; restart: it waits for one; adjusted: the engine has made another value of it")


class Value(Shown):
    """A parameter that is set, or still runs as it was set before."""

    name = text()
    value = text(null=True, words="what is wanted; null: the default")
    source = text(null=True, words="cluster: its own; group: its group's; null: it is not set any more")
    default = text(null=True)
    live = text(null=True, words="what all nodes run with; null where they differ, or nobody has asked yet")
    state = text(words="as of the node that is worst: restart, adjusted, live; or unknown")
    pending_restart = fields.Boolean(required=True)
    nodes = many(NodeValue)


class TakenGroup(Shown):
    """A group, and which version of it was taken."""

    id = identity()
    name = text()
    version = number()


class PresentGroup(TakenGroup):
    """The group that a cluster has."""

    newest = number(words="the group's newest version")
    out_of_date = fields.Boolean(
        required=True, metadata={"description": "whether the cluster has another: `POST .../parameters/apply`"}
    )


class ClusterParameters(Shown):
    """The parameters of a cluster that were set."""

    version = number(words="0 while nothing was ever set")
    state = text(words="applied, or applying while an operation is at it")
    pending_restart = fields.Boolean(required=True)
    group = one(PresentGroup, null=True)
    parameters = many(Value)


class Change(Shown):
    """What a version changed."""

    name = text()
    before = text(null=True)
    after = text(null=True)


class Version(Shown):
    """What was wanted once: who wanted it, and what became of it."""

    version = number()
    state = text(words="applying, applied, or failed: then it was taken back")
    parameters = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    changes = many(Change)
    group = one(TakenGroup, null=True)
    author = text(words="a user of Keystone's, or the id of a token")
    operation = identity()
    at = moment()


class History(Shown):
    """Versions, the latest first."""

    versions = many(Version)

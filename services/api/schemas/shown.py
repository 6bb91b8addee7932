"""What answers look like. The views make them; the tests hold each answer against its schema."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text

STATUSES = ("requested", "building", "active", "degraded", "updating", "stopped", "failed", "deleting", "deleted")

INSTANCE_STATUSES = "requested, building, active, stopped (with its cluster), off (its server was switched off), failed, deleting or deleted"


class FieldError(Shown):
    """One field, and what is wrong with it."""

    field = text()
    reason = text()


class ProblemDetails(Shown):
    """An error (RFC 9457)."""

    type = text()
    title = text()
    status = number()
    detail = text(words="what happened, and what to do")
    errors = many(FieldError)


class Address(Shown):
    """Where a database answers."""

    host = text()
    port = number()


class StableAddress(Address):
    """A cluster's own address, which leads to its primary, whichever node that is."""

    url = text()


class Endpoint(Shown):
    """How clients reach a cluster; each `url` has the administrator's name and no password."""

    primary = one(Address)
    replicas = many(Address)
    url = text(words="names all nodes, for drivers that look for the primary among them")
    address = one(StableAddress, null=True)


class DatastoreRef(Shown):
    """The datastore of a cluster."""

    id = identity()
    name = text(words="as in `mysql - 10.11`")
    manager = text()
    version = text()


class Flavor(Shown):
    """A size of server."""

    id = text()
    name = text()
    vcpus = number()
    ram_mb = number()
    disk_gb = number()


class Topology(Shown):
    """How the nodes of a cluster work together."""

    mode = text(words="async, or sync: a write is not acknowledged before a replica has it")
    failover = text(words="automatic: a primary that is proven dead is replaced without being asked; or manual")


class Node(Shown):
    """An instance, as its cluster shows it."""

    id = identity()
    name = text()
    status = text(words=INSTANCE_STATUSES)
    addr = text(null=True)
    role = text(null=True, words="primary or replica; null until the cluster is active")


class Instance(Shown):
    """An instance."""

    id = identity()
    name = text()
    status = text(words=INSTANCE_STATUSES)
    addr = text(null=True)
    cluster = identity()
    server = text(null=True, words="what the provider calls it")
    message = text()


class RestoredInPlace(Shown):
    """A restore in place that is neither confirmed nor undone: what the cluster had before is kept on an instance until `purge_at`."""

    restore = identity()
    backup = identity()
    time = moment(null=True)
    instance = identity()
    restored_at = moment()
    purge_at = moment()


class Cluster(Shown):
    """A cluster."""

    id = identity()
    name = text()
    project = identity()
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    datastore = one(DatastoreRef)
    flavor = one(Flavor)
    size = number()
    volume_gb = number(null=True)
    topology = one(Topology, null=True)
    endpoint = one(Endpoint, null=True)
    instances = many(Node)
    operation = identity(null=True)
    message = text(words="why it is as it is, where that needs words")
    deletion_protection = fields.Boolean(required=True)
    restored_from = identity(null=True)
    restored_to = moment(null=True)
    restored_in_place = one(RestoredInPlace, null=True)
    created_at = moment()


class NodeHealth(Shown):
    """How a node was when it was last seen."""

    instance = identity()
    name = text()
    role = text(null=True)
    verdict = text(words="OK, or the name of what is the matter: see the guide on health")
    message = text()
    since = moment()
    seen_at = moment()
    age_seconds = fields.Float(required=True, metadata={"description": "how long ago that was"})
    evidence = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True,
        metadata={"description": "what each witness that was asked has said: ssh, database, port, peers, provider"},
    )  # fmt: skip
    facts = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), required=True,
        metadata={"description": "numbers and words by name, as lag_seconds; null where one is not known"},
    )  # fmt: skip


class ClusterHealth(Shown):
    """How a cluster is: as its worst node; `seen_at` is when the node was seen that was seen longest ago."""

    verdict = text()
    message = text(words="empty where all is well")
    since = moment()
    seen_at = moment()
    age_seconds = fields.Float(required=True)
    nodes = many(NodeHealth)


class HealthChange(Shown):
    """A node got another verdict."""

    instance = identity()
    name = text(words="empty for a node that is gone")
    verdict = text()
    message = text()
    at = moment()


class LogArchive(Shown):
    """How far a cluster's log is kept beside its backups: `until`, all that was acknowledged is safe, in one chain."""

    until = moment(null=True)
    broken_at = moment(null=True)
    trouble = text(words="empty where the log is kept as it should be")
    stale = fields.Boolean(
        required=True,
        metadata={"description": "whether that is too long ago, or there is a hole: the cluster is degraded"},
    )
    seen_at = moment()


class HealthReport(Shown):
    """How a cluster is, null while nothing was seen; its log's archive, null where none is kept; and its nodes' changes, the
    latest first.
    """

    health = one(ClusterHealth, null=True)
    archive = one(LogArchive, null=True)
    history = many(HealthChange)


class RestoreWindow(Shown):
    """Any moment from one to another."""

    since = moment()
    until = moment()


class Restorable(Shown):
    """Which moments of a cluster can be restored: all from the earliest to the latest, but for what lies between two windows."""

    earliest = moment()
    latest = moment()
    windows = many(RestoreWindow)


class ClusterAlone(Cluster):
    """A cluster by itself, with how it was when it was last seen, null while nothing was seen; and which moments of it can be
    restored, null where it is none but those of its backups.
    """

    health = one(ClusterHealth, null=True)
    restorable = one(Restorable, null=True)


class Problem(Shown):
    """Why an operation failed: the step, the redacted command, its last words, the way out."""

    step = text()
    message = text()
    host = text()
    command = text()
    stderr = text()
    what_to_do = text()


class Step(Shown):
    """A step of an operation."""

    service = text()
    step = text()
    host = text()
    status = text()
    percent = number(null=True)
    message = text()
    stderr = text()
    started_at = moment()
    finished_at = moment(null=True)


class OperationBrief(Shown):
    """An operation without its steps."""

    id = identity()
    kind = text()
    cluster = identity()
    project = identity()
    status = text()
    problem = one(Problem, null=True)
    created_at = moment()
    finished_at = moment(null=True)


class Operation(OperationBrief):
    """An operation with its steps."""

    percent = number(null=True, words="of the whole; null where nothing is known of its length")
    steps = many(Step)
    output = text(words="what commands printed, its last 256 KiB")
    result = fields.Dict(required=True, allow_none=True, metadata={"description": "what it came to, by its kind"})


class TranscriptEntry(Shown):
    """One command that ran, redacted."""

    sequence = number()
    host = text()
    title = text()
    command = text()
    started_at = text()
    seconds = fields.Float(required=True)
    exit_code = number(null=True)
    stdout = text()
    stderr = text()


class Transcript(Shown):
    """The commands of an operation."""

    transcript = many(TranscriptEntry)


class Event(Shown):
    """An event of the project's feed."""

    id = number()
    type = text(words="its topic, as in `cluster.active`")
    occurred_at = moment()
    data = fields.Dict(required=True)


class Logs(Shown):
    """The last lines of a log, and what is to be said of them."""

    lines = fields.List(fields.String(), required=True)
    notes = fields.List(fields.String(), required=True)


class Credentials(Shown):
    """The administrator's login."""

    username = text()
    password = text()
    url = text(null=True, words="with the password in it; null until the cluster has an endpoint")
    address_url = text(null=True, words="the same by the cluster's own address; null where it has none")


class Datastore(DatastoreRef):
    """A version of a datastore."""

    image = text()
    packages = fields.List(fields.String(), required=True)
    modes = fields.List(
        fields.String(), required=True,
        metadata={"description": "the modes that clusters of several nodes may have; empty: one node only"},
    )  # fmt: skip
    default_parameters = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


Clusters = page_of("clusters", Cluster)
Instances = page_of("instances", Instance)
Operations = page_of("operations", OperationBrief)
Events = page_of("events", Event)
Datastores = page_of("datastores", Datastore)
Flavors = page_of("flavors", Flavor)

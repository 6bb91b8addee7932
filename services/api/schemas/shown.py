"""What answers look like. The views make them; the tests hold each answer against its schema."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text

STATUSES = ("requested", "building", "active", "degraded", "updating", "stopped", "failed", "deleting", "deleted")


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


class Endpoint(Shown):
    """How clients reach a cluster; `url` has the administrator's name and no password."""

    primary = one(Address)
    replicas = many(Address)
    url = text()


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


class Node(Shown):
    """An instance, as its cluster shows it."""

    id = identity()
    name = text()
    status = text()
    addr = text(null=True)
    role = text(null=True, words="primary or replica; null until the cluster is active")


class Instance(Shown):
    """An instance."""

    id = identity()
    name = text()
    status = text()
    addr = text(null=True)
    cluster = identity()
    server = text(null=True, words="what the provider calls it")
    message = text()


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
    created_at = moment()


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


class Credentials(Shown):
    """The administrator's login."""

    username = text()
    password = text()
    url = text(null=True, words="with the password in it; null until the cluster has an endpoint")


class Datastore(DatastoreRef):
    """A version of a datastore."""

    image = text()
    packages = fields.List(fields.String(), required=True)
    modes = fields.List(
        fields.String(), required=True,
        metadata={"description": "the modes that clusters of several nodes may have; empty: one node only"},
    )  # fmt: skip
    default_parameters = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class Token(Shown):
    """A token, without what it opens."""

    id = identity()
    name = text()
    project = identity()
    role = text()
    created_at = moment()
    expires_at = moment(null=True)
    revoked_at = moment(null=True)


class NewToken(Token):
    """A token, this once with what it opens."""

    token = text()


class Project(Shown):
    """A project."""

    id = identity()
    name = text()


class Amounts(Shown):
    """One number of each kind."""

    clusters = number(null=True)
    instances = number(null=True)
    volume_gb = number(null=True)


class Quotas(Shown):
    """The limits of a project (null: none), and what is in use."""

    limits = one(Amounts)
    used = one(Amounts)


class Delegation(Shown):
    """What a project has lent: `credential_id` leads to the cloud's project `cloud_project`."""

    kind = text(words="application_credential or trust")
    credential_id = text()
    cloud_project = text()


class SealState(Shown):
    """How far a service is with sealing its secrets anew. `key` is what its newest key is known by."""

    resealed = number(words="in this call")
    left = number()
    key = text()


class Resealed(Shown):
    """How far each service is."""

    services = fields.Dict(keys=fields.String(), values=fields.Nested(SealState), required=True)


class ParkedMessage(Shown):
    """A message that its service could not take in. What its body calls token or password is `***`."""

    id = identity()
    service = text(words="whose message it is")
    queue = text(words="where a replay sends it")
    topic = text()
    reason = text()
    body = fields.Raw(required=True, allow_none=True, metadata={"description": "JSON; a text where it is none"})
    headers = fields.Dict(keys=fields.String(), values=fields.Raw(), required=True)
    parked_at = moment()


class Replayed(Shown):
    """The message that is on its way again."""

    id = identity()


class Orphan(Shown):
    """A thing that the provider holds and should not, or a server that is gone."""

    kind = text(words="server or volume")
    id = text(words="what the provider calls it")
    instance = text(words="the instance whose tag it carries")
    cluster = text(words="the cluster whose tag it carries; may be empty")
    why = fields.String(required=True, validate=validate.OneOf(("unknown", "deleted", "doubled", "left_over", "gone")))
    message = text()
    found_at = moment()
    removal = fields.String(required=True, validate=validate.OneOf(("none", "under_way", "failed")))
    goes_by_itself = fields.Boolean(required=True, metadata={"description": "DTrove removes it without being asked"})


class Check(Shown):
    """One thing that was looked at."""

    name = text()
    status = fields.String(required=True, validate=validate.OneOf(("ok", "warning", "failed")))
    message = text(words="a sentence, and a line for each thing that it speaks of")
    what_to_do = text(words="empty where nothing is to be done")


class Checks(Shown):
    """Everything that was looked at."""

    checks = many(Check)


class AuditLine(Shown):
    """What somebody did, from where, in which request, and what was answered."""

    id = number()
    at = moment()
    user = text(words="the user, or the token's name")
    token = text()
    project = text()
    address = text()
    request = text(words="the X-Request-ID, which logs carry as well")
    action = text()
    subject = text(words="the id of what it was done to; empty for none")
    status = number(words="the HTTP status of the answer")


class Health(Shown):
    """Alive."""

    status = text()


class Readiness(Shown):
    """Ready or not, with each dependency's state."""

    status = text()
    checks = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    notices = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True,
        metadata={"description": "what `GET /v1/check` would look at, as last seen; empty before the first look"},
    )  # fmt: skip


Clusters = page_of("clusters", Cluster)
Instances = page_of("instances", Instance)
Operations = page_of("operations", OperationBrief)
Events = page_of("events", Event)
Datastores = page_of("datastores", Datastore)
Flavors = page_of("flavors", Flavor)
Tokens = page_of("tokens", Token)
ParkedMessages = page_of("parked", ParkedMessage)
Orphans = page_of("orphans", Orphan)
Projects = page_of("projects", Project)
Audit = page_of("audit", AuditLine)

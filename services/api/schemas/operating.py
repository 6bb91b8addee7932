"""What answers to those who run DTrove look like: access, quotas, secrets, what is stuck, and how the whole is."""

from __future__ import annotations

from marshmallow import fields, validate

from services.api.schemas.answer import Shown, identity, many, moment, number, one, page_of, text


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


class WhoAsks(Shown):
    """Who asks, and by which session; null where it is done by the token itself."""

    user = text(words="the user, or the token's name")
    project = one(Project)
    role = text()
    session = identity(null=True)
    expires_at = moment(null=True)


class NewSession(Shown):
    """A session, this once with what opens it."""

    id = identity()
    token = text(words="to be sent as a token is")
    once = fields.Boolean(required=True)
    expires_at = moment()


class Amounts(Shown):
    """One number of each kind."""

    clusters = number(null=True)
    instances = number(null=True)
    volume_gb = number(null=True)
    backups = number(null=True)
    backup_gb = number(null=True)


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


Tokens = page_of("tokens", Token)
ParkedMessages = page_of("parked", ParkedMessage)
Orphans = page_of("orphans", Orphan)
Projects = page_of("projects", Project)
Audit = page_of("audit", AuditLine)

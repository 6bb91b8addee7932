"""What the bodies of requests may be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from services.api.domain.masking import is_secret_parameter
from services.api.schemas.accounts import DatabaseCreate, UserCreate
from services.api.schemas.base import ID, Strict, flag, label, whole
from services.api.schemas.restores import LAST_MOMENT, RestoreChoice

POLICIES = ("automatic", "manual")
ROLES = ("reader", "member", "admin")
DELEGATIONS = ("application_credential", "trust")
_PACKAGE = validate.Regexp(
    r"^[a-z0-9][a-z0-9+.:=~-]{0,127}\Z", error="must be the name of a package, also name=version"
)
_PARAMETER = validate.Regexp(
    r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z", error="must be a parameter's name: letters, digits, `_`, `.` and `-`"
)
_VERSION = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}\Z", error="must be a version, as in 10.11")

_CREDENTIAL = validate.Regexp(
    r"^[A-Za-z0-9-]{1,64}\Z", error="must be an id of Keystone's: letters, digits and hyphens"
)
_PUBLIC_KEY = validate.Regexp(
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{60,1400}={0,2}\Z",
    error="must be a public key without options or comment, as in `ssh-ed25519 AAAA...`",
)


def _no_secret(name: str) -> None:
    if is_secret_parameter(name):
        raise ma.ValidationError("is a secret by its name; DTrove makes the database's passwords and keeps them sealed")


class Scalar(fields.Field[Any]):
    """A text, a number, true or false; null where that means something."""

    default_error_messages = {"invalid": "must be a text, a number, true, false, or null for the default"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if not isinstance(value, str | int | float | bool):
            raise self.make_error("invalid")
        return value


def chosen(**options: Any) -> fields.Dict:
    """Parameters that a user chooses for a cluster; what each may be, its engine says."""
    return fields.Dict(
        keys=fields.String(validate=[_PARAMETER, _no_secret]), values=Scalar(allow_none=True),
        validate=validate.Length(max=500), metadata={"description": "values by name; null: the default"}, **options,
    )  # fmt: skip


def group_choice(**options: Any) -> fields.String:
    """The parameter group that a cluster is to have."""
    return fields.String(
        allow_none=True, validate=validate.Length(1, 255),
        metadata={"description": "an id or a name; null: none. The cluster's own parameters go before the group's"}, **options,
    )  # fmt: skip


class TopologyChoice(Strict):
    """How the nodes of a cluster work together."""

    mode = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(("async", "sync")),
        metadata={"description": "sync: a write is not acknowledged before a replica has it; null: as is usual for the datastore"},
    )  # fmt: skip
    failover = fields.String(
        load_default="automatic", validate=validate.OneOf(POLICIES),
        metadata={"description": "automatic: a primary that is proven dead is replaced without being asked"},
    )  # fmt: skip


class ClusterCreate(Strict):
    """A cluster that is wanted."""

    name = label()
    datastore = fields.String(
        required=True, validate=validate.Length(1, 255),
        metadata={"description": "an id, or as in `mysql 10.11`", "example": "pgsql 15"},
    )  # fmt: skip
    size = whole(1, 1000, default=1, description="how many nodes")
    flavor = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(1, 255),
        metadata={"description": "an id or a name; without one the smallest of 1024 MB or more"},
    )  # fmt: skip
    volume_gb = whole(1, 65536, default=None, allow_none=True, description="size of each node's own volume")
    topology = fields.Nested(
        TopologyChoice, load_default=None, allow_none=True,
        metadata={"description": "how several nodes work together; without one as is usual for the datastore"},
    )  # fmt: skip
    databases = fields.List(
        fields.Nested(DatabaseCreate), load_default=list, validate=validate.Length(max=100),
        metadata={"description": "that it is to have from its first moment"},
    )  # fmt: skip
    users = fields.List(
        fields.Nested(UserCreate), load_default=list, validate=validate.Length(max=100),
        metadata={"description": "that it is to have from its first moment, each with a password"},
    )  # fmt: skip
    deletion_protection = flag(False, description="whether a DELETE is refused")
    parameters = chosen(load_default=dict)
    parameter_group = group_choice(load_default=None)
    restore = fields.Nested(
        RestoreChoice, load_default=None, allow_none=True,
        metadata={"description": "what it is to begin with; null: empty"},
    )  # fmt: skip


class ClusterPatch(Strict):
    """What may be changed of a cluster by itself."""

    name = label()
    deletion_protection = flag()
    failover = fields.String(
        validate=validate.OneOf(POLICIES),
        metadata={"description": "automatic: a primary that is proven dead is replaced without being asked"},
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(partial=True)


class NodesAdd(Strict):
    """More nodes that are wanted."""

    count = whole(1, 1000, default=1, description="how many")


class Switchover(Strict):
    """Another primary that is wanted."""

    instance = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(ID, error="must be a UUID"),
        metadata={"description": "the replica that takes over; null: whoever has received most", "format": "uuid"},
    )  # fmt: skip


class Failover(Switchover):
    """Another primary that is wanted in place of one that is dead."""

    accept_loss = flag(False, description="whether writes may be lost that no node which answers has")


class Restart(Strict):
    """Which databases are to be restarted."""

    instance = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(ID, error="must be a UUID"),
        metadata={"description": "the one that is restarted where it is; null: all, one after the other", "format": "uuid"},
    )  # fmt: skip


class Resize(Strict):
    """Another flavor, larger volumes, or both."""

    flavor = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(1, 255),
        metadata={"description": "an id or a name; null: as it is"},
    )  # fmt: skip
    volume_gb = whole(
        1, 65536, default=None, allow_none=True,
        description="size of each node's own volume, never less than it has; null: as it is",
    )  # fmt: skip


class Perform(Strict):
    """Commands to run on an instance."""

    name = fields.String(required=True, validate=validate.Length(1, 255))
    commands = fields.List(
        fields.String(validate=validate.Length(1, 65_536)), required=True, validate=validate.Length(1, 100)
    )


class AccessOpen(Strict):
    """A login to an instance that is wanted."""

    public_key = fields.String(
        required=True, validate=_PUBLIC_KEY, metadata={"description": "one public key, as in `ssh-ed25519 AAAA...`"}
    )
    minutes = whole(1, 480, default=60, description="how long the key opens the instance; a session may last longer")


def parameters(**options: Any) -> fields.Dict:
    """Parameters of a database, none of which is secret: all who may see the catalogue see them, and hosts' files have them."""
    return fields.Dict(
        keys=fields.String(validate=[_PARAMETER, _no_secret]), values=fields.String(validate=validate.Length(max=4096)),
        validate=validate.Length(max=500), **options,
    )  # fmt: skip


class ParametersPut(Strict):
    """All of a cluster's own parameters; the group stays where none is named."""

    parameters = chosen(required=True)
    parameter_group = group_choice()


class ParametersChange(ParametersPut):
    """Other parameters that are wanted, or another group."""

    parameters = chosen(load_default=dict)

    @ma.validates_schema(pass_original=True)
    def _says_what(self, _data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        if not {"parameters", "parameter_group"} & set(original):
            raise ma.ValidationError("is required, or else `parameter_group`", "parameters")


class ParametersRollback(Strict):
    """The parameters of an earlier version."""

    version = whole(0, 2**31 - 1, required=True, description="as the history has it; 0: nothing set")


class BackupCreate(Strict):
    """A backup that is wanted."""

    kind = fields.String(
        load_default="full", validate=validate.OneOf(("full", "incremental")),
        metadata={"description": "incremental: what has changed since the last one; a full one where it has nothing to build upon"},
    )  # fmt: skip
    store = fields.String(
        load_default="", validate=validate.Regexp(r"^([a-z0-9][a-z0-9-]{0,62})?\Z", error="must be the name of a store"),
        metadata={"description": "the name of a store, as DTROVE_BACKUP_STORES has it; empty: where backups usually go"},
    )  # fmt: skip


class ProofCheckWish(Strict):
    """What restored data are asked."""

    name = fields.String(
        required=True, validate=validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}\Z", error="must be a short name"),
    )  # fmt: skip
    sql = fields.String(
        required=True, validate=validate.Length(1, 16_384),
        metadata={"description": "a statement of the engine's; of Redis a command"},
    )  # fmt: skip
    database = fields.String(
        load_default="", validate=validate.Regexp(r"^[^\n\r]{0,64}\Z", error="must be the name of a database"),
        metadata={"description": "where it is asked; empty: where the engine's own client begins"},
    )  # fmt: skip
    expect = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(0, 4096),
        metadata={"description": "what must be answered, but for white space around it; null: anything but an error"},
    )  # fmt: skip


class BackupVerify(Strict):
    """A backup that is to be proved by a restore."""

    checks = fields.List(
        fields.Nested(ProofCheckWish), load_default=list, validate=validate.Length(max=50),
        metadata={"description": "what its data are asked, beside what DTrove looks at itself"},
    )  # fmt: skip


class DatastoreCreate(Strict):
    """A version for the catalogue."""

    manager = fields.String(
        required=True, validate=validate.Length(1, 255),
        metadata={"description": "a manager's name, or the dotted path of its class"},
    )  # fmt: skip
    version = fields.String(required=True, validate=_VERSION)
    image = fields.String(load_default="debian-12", validate=validate.Length(1, 255))
    packages = fields.List(fields.String(validate=_PACKAGE), required=True, validate=validate.Length(max=100))
    default_parameters = parameters(load_default=dict)


class DatastorePatch(Strict):
    """What may be changed of a version."""

    image = fields.String(validate=validate.Length(1, 255))
    packages = fields.List(fields.String(validate=_PACKAGE), validate=validate.Length(max=100))
    default_parameters = parameters()


class TokenCreate(Strict):
    """A token that is wanted."""

    name = fields.String(required=True, validate=validate.Length(1, 255))
    project = fields.String(
        load_default="default", validate=validate.Length(1, 255), metadata={"description": "an id or a name"}
    )
    role = fields.String(load_default="member", validate=validate.OneOf(ROLES))
    expires_at = fields.AwareDateTime(load_default=None, allow_none=True)

    @ma.validates("expires_at")
    def _in_the_future(self, value: datetime | None, **_: object) -> None:
        # Far dates overflow on their way to UTC; nobody means them.
        if value is not None and not datetime.now(UTC) < value < LAST_MOMENT:
            raise ma.ValidationError("must be a time to come, before the year 2200")


class SessionCreate(Strict):
    """A session that is wanted."""

    once = flag(
        False, description="whether it is good for nothing but to be exchanged for another, as a link that signs in is"
    )


class OrphansClean(Strict):
    """Things at the provider that are to go."""

    ids = fields.List(
        fields.String(validate=validate.Length(1, 255)), required=True, validate=validate.Length(1, 100),
        metadata={"description": "what the provider calls them, as `GET /v1/orphans` has it"},
    )  # fmt: skip


class ProjectCreate(Strict):
    """A project that is wanted."""

    name = label()


class DelegationPut(Strict):
    """The right to act in a project of the cloud: an application credential with its secret, or a trust."""

    kind = fields.String(required=True, validate=validate.OneOf(DELEGATIONS))
    credential_id = fields.String(
        required=True, validate=_CREDENTIAL, metadata={"description": "the application credential's id, or the trust's"}
    )
    secret = fields.String(
        load_default="", validate=validate.Length(0, 1024),
        metadata={"description": "the application credential's; a trust has none"},
    )  # fmt: skip

    @ma.validates_schema
    def _goes_together(self, data: dict[str, Any], **_: Any) -> None:
        wanted = data["kind"] == "application_credential"
        if wanted != bool(data["secret"]):
            words = "is required: an application credential has one" if wanted else "must be left out: a trust has none"
            raise ma.ValidationError(words, "secret")


class QuotasPut(Strict):
    """The limits of a project; null is none."""

    clusters = whole(0, 1_000_000, default=None, allow_none=True)
    instances = whole(0, 1_000_000, default=None, allow_none=True)
    volume_gb = whole(0, 1_000_000_000, default=None, allow_none=True, description="of all volumes together")
    backups = whole(0, 1_000_000, default=None, allow_none=True)
    backup_gb = whole(
        0, 1_000_000_000, default=None, allow_none=True, description="what is kept of all backups together"
    )

"""The API's slice of the database: what users see, and a read model of what the other services said."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, false, text

from services.api.store.archive_table import add_archives
from services.api.store.backup_table import add_backups
from services.api.store.export_table import add_exports
from services.api.store.import_table import add_imports
from services.api.store.schedule_table import add_schedules
from services.api.store.session_table import add_sessions
from shared.db.tables import add_machinery
from shared.db.types import Sealed, UtcDateTime

metadata = MetaData()
_COUNTER = BigInteger().with_variant(Integer, "sqlite")


def _where(condition: str) -> dict[str, Any]:
    """An index over some rows only, on both engines."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


projects = Table(
    "projects",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Index("tokens_project", "project_id"),
)

# A project without a row, or with an empty column, has no limit of that kind.
quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("clusters", Integer),
    Column("instances", Integer),
    Column("volume_gb", Integer),
    Column("backups", Integer),
    Column("backup_gb", Integer),
)

datastores = Table(
    "datastores",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("manager", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("image", String(255), nullable=False),
    Column("packages", JSON, nullable=False),
    Column("default_parameters", JSON, nullable=False),
    Column("name", String(255), nullable=False),
    Column("min_ram_mb", Integer, nullable=False),
    Column("port", Integer, nullable=False, default=0, server_default="0"),
    Column("modes", JSON),
    # By which rules its accounts are kept; empty: nobody keeps them.
    Column("dialect", String(16), nullable=False, default="", server_default=""),
    # Why it has no incremental backups; empty: it has.
    Column("full_only", Text, nullable=False, default="", server_default=""),
    Column("deleted", Boolean, nullable=False),
)

flavors = Table(
    "flavors",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("supports_volumes", Boolean, nullable=False),
    Column("supports_resize", Boolean, nullable=False, default=False, server_default=false()),
    Column("supports_addresses", Boolean, nullable=False, default=False, server_default=false()),
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("status", String(16), nullable=False),
    Column("datastore", JSON, nullable=False),
    Column("flavor", JSON, nullable=False),
    Column("size", Integer, nullable=False),
    Column("volume_gb", Integer),
    # What a resize has asked for that has not come about (yet): some of the volumes may have it.
    Column("volume_gb_wanted", Integer),
    Column("flavor_wanted", String(255)),
    # The backup that it has begun with, and up to which moment it took the log; and the backup after which it is to be deleted.
    Column("restored_from", String(64)),
    Column("restored_to", UtcDateTime),
    Column("final_backup", String(64)),
    # The restore in place that is neither confirmed nor undone.
    Column("restored_in_place", JSON(none_as_null=True)),
    # The backup that it is to prove, where it is for nothing else: then nobody is shown it in a list.
    Column("proves", String(64)),
    Column("topology", JSON),
    Column("endpoint", JSON),
    Column("primary_id", String(64), nullable=False, default="", server_default=""),
    Column("operation_id", String(64)),
    Column("message", Text, nullable=False),
    Column("deletion_protection", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Index("clusters_page", "project_id", "created_at", "id", **_where("deleted_at IS NULL")),
    Index("clusters_page_of_status", "project_id", "status", "created_at", "id", **_where("deleted_at IS NULL")),
    Index("clusters_name", "project_id", "name", unique=True, **_where("deleted_at IS NULL")),
    Index("clusters_status", "status"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    # The operation under which it has come.
    Column("operation_id", String(64), nullable=False, default="", server_default=""),
    Column("name", String(255), nullable=False),
    Column("status", String(16), nullable=False),
    Column("addr", String(64), nullable=False),
    Column("server", String(255), nullable=False),
    Column("message", Text, nullable=False),
    # What `status` follows from: the provisioner's newest word, when it was said, and whether the database was ready.
    Column("server_state", String(16), nullable=False),
    Column("server_at", UtcDateTime),
    Column("ready", Boolean, nullable=False),
    # All that a page of clusters shows of them, so that it need not look any further.
    Index("instances_page", "cluster_id", "name", "id", "status", "addr"),
    Index("instances_status", "status"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("problem", JSON),
    Column("output", Text, nullable=False),
    Column("output_marks", JSON),
    Column("result", JSON),
    # Whether it is alone on its cluster; and what its steps weigh, by an earlier one of its kind.
    Column("exclusive", Boolean, nullable=False),
    Column("weights", JSON, nullable=False),
    # When the services were last asked to say again what they have said of it.
    Column("reminded_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index("operations_page", "project_id", "created_at", "id"),
    Index("operations_page_of_cluster", "project_id", "cluster_id", "created_at", "id"),
    Index("operations_status", "status", "kind", "created_at"),
    Index(
        "operations_exclusive", "cluster_id", unique=True,
        **_where("exclusive AND status IN ('pending', 'running', 'cancelling')"),
    ),
)  # fmt: skip

operation_steps = Table(
    "operation_steps",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("step", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("percent", Integer),
    Column("message", Text, nullable=False),
    Column("stderr", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)

transcript = Table(
    "transcript",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("entry", JSON, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("project_id", String(64), nullable=False),
    Column("topic", String(128), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Index("events_project", "project_id", "id"),
    # A number is never given twice: who has seen it asks for what came after.
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    # What asked, as a digest: sealed, for a user's password may be in it, and can be guessed. Rows of older versions have
    # it in `request_hash` for their day; newer ones leave that empty.
    Column("request", Sealed),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    # JSON, sealed: the answer may have shown a token. Empty while the work is under way.
    Column("body", Sealed),
    Column("location", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("idempotency_age", "created_at"),
)

parked = Table(
    "parked",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("service", String(64), nullable=False),
    Column("queue", String(255), nullable=False),
    Column("topic", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    # Bytes read as Latin-1; messages from outside hold tokens.
    Column("body", Sealed, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("parked_page", "created_at", "id"),
)

# How nodes were when they were last seen, and how that has changed.
health = Table(
    "health",
    metadata,
    Column("instance_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("message", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("numbers", JSON),
    Index("health_cluster", "cluster_id"),
)

# Who reads the log of an instance at this moment, and lines that he has not fetched yet.
readings = Table(
    "readings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

reading_pieces = Table(
    "reading_pieces",
    metadata,
    Column("reading_id", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("place", String(64), nullable=False),
    Column("last", Boolean, nullable=False),
    Column("problem", JSON(none_as_null=True)),
)

health_history = Table(
    "health_history",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("instance_id", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("message", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("health_history_cluster", "cluster_id", "id"),
    Index("health_history_age", "at"),
)

# What engines say of their parameters; what was wanted of each cluster, and what its nodes were last seen to run with.
definitions = Table(
    "definitions",
    metadata,
    Column("datastore_id", String(64), primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("known", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

parameter_versions = Table(
    "parameter_versions",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("wanted", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("operation_id", String(64), nullable=False),
    Column("author", String(255), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # What `wanted` is made of: the group as the cluster has taken it, and over it the cluster's own; without `own` all of it is.
    Column("own", JSON(none_as_null=True)),
    Column("shared", JSON(none_as_null=True)),
    Column("group_id", String(64), nullable=False, default="", server_default=""),
    Column("group_name", String(255), nullable=False, default="", server_default=""),
    Column("group_version", Integer, nullable=False, default=0, server_default="0"),
    Index("parameter_versions_operation", "operation_id"),
    Index("parameter_versions_group", "group_id"),
)

# Parameters under a name, which several clusters share.
parameter_groups = Table(
    "parameter_groups",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("datastore", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("author", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("parameter_groups_name", "project_id", "name", unique=True),
    Index("parameter_groups_page", "project_id", "created_at", "id"),
)

node_parameters = Table(
    "node_parameters",
    metadata,
    Column("instance_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("live", JSON, nullable=False),
    Column("states", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Index("node_parameters_cluster", "cluster_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("project_id", String(64), nullable=False),
    Column("token_id", String(64), nullable=False),
    Column("action", String(128), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("user", String(255), nullable=False, default="", server_default=""),
    Column("address", String(64), nullable=False, default="", server_default=""),
    Column("request_id", String(64), nullable=False, default="", server_default=""),
    Column("status", Integer, nullable=False, default=200, server_default="200"),
    Index("audit_project", "project_id", "id"),
    sqlite_autoincrement=True,
)

# What servers listed of databases and users when they were asked last.
accounts = Table(
    "accounts",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("listed", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("root_since", UtcDateTime),
)

# Backups, also those whose cluster is gone, with what it was of. An empty id is of nothing; an empty kind is not known yet.
# `operation_id` makes it, `deletion_id` removes it. `counted_bytes` is for the quota: what is kept of it, and before that as much
# as of the cluster's last one. `said_at` is when the newest word was said of it: an older one, heard later, changes nothing.
backups = add_backups(metadata)
exports = add_exports(metadata)
imports = add_imports(metadata)
schedules = add_schedules(metadata)
archives = add_archives(metadata)
sessions = add_sessions(metadata)
add_machinery(metadata)

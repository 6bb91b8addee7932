"""The provisioner's slice of the database: instances with their volumes, and clusters' addresses."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from shared.db.tables import add_machinery
from shared.db.types import Sealed, UtcDateTime

metadata = MetaData()

instances = Table(
    "instances",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("operation_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("image", String(255), nullable=False),
    Column("flavor", JSON, nullable=False),
    Column("public_key", Text, nullable=False, default=""),
    Column("host_key", Text, nullable=False, default=""),
    Column("host_key_private", Sealed, nullable=False),
    Column("status", String(16), nullable=False),
    Column("server", String(255), nullable=False, default=""),
    Column("addr", String(64), nullable=False, default=""),
    Column("user", String(64), nullable=False, default=""),
    Column("local_id", String(255), nullable=False, default=""),
    Column("ssh_port", Integer, nullable=False, default=22),
    Column("port", Integer, nullable=False, default=0, server_default="0"),
    Column("server_status", String(32), nullable=False, default="UNKNOWN"),
    Column("progress", Integer, nullable=False, default=0),
    Column("message", Text, nullable=False, default=""),
    Column("volume", JSON),
    Column("reach", JSON, nullable=False),
    Column("account", String(64), nullable=False, default="", server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Index("instances_cluster", "cluster_id"),
)

# Addresses of clusters' own, where the provider has such; where each is to lead by the newest wish.
addresses = Table(
    "addresses",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("operation_id", String(64), nullable=False),
    Column("addr", String(64), nullable=False),
    Column("wanted_id", String(64), nullable=False),
    Column("wanted_at", UtcDateTime),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("account", String(64), nullable=False),
)

# What the provider holds and the database knows nothing of, or the other way round, since when and what becomes of it.
findings = Table(
    "findings",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("instance_id", String(255), nullable=False),
    Column("cluster_id", String(255), nullable=False),
    Column("why", String(16), nullable=False),
    Column("certain", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # The task that removes it, empty for none yet, and why the last one could not.
    Column("task_id", String(64), nullable=False),
    Column("trouble", Text, nullable=False),
    Column("account", String(64), nullable=False, default="", server_default=""),
)

# What projects have lent: the right to act in their own projects of the cloud.
delegations = Table(
    "delegations",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("credential_id", String(255), nullable=False),
    Column("secret", Sealed, nullable=False),
    Column("cloud_project", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

add_machinery(metadata)

"""The slice of datastore_agentless: catalogue, keys, clusters, instances, transcripts' counters."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

from shared.db.tables import add_machinery
from shared.db.types import Sealed, UtcDateTime

metadata = MetaData()

datastores = Table(
    "datastores",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("manager_class", String(255), nullable=False),
    Column("manager", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("image", String(255), nullable=False),
    Column("packages", JSON, nullable=False),
    Column("default_parameters", JSON, nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
    UniqueConstraint("manager", "version", name="datastores_name"),
)

keys = Table(
    "keys",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("passphrase", Sealed, nullable=False),
    Column("private", Sealed, nullable=False),
    Column("public", Text, nullable=False),
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("operation_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("datastore_id", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("ram_mb", Integer, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("volume_gb", Integer, nullable=False, default=0),
    Column("admin_user", String(64), nullable=False, default=""),
    Column("admin_password", Sealed, nullable=False),
    # Empty in clusters that were made before there were replicas.
    Column("replication_password", Sealed),
    Column("mode", String(16), nullable=False, default="", server_default=""),
    Column("primary_id", String(64), nullable=False, default="", server_default=""),
    Column("status", String(16), nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("operation_id", String(64), nullable=False, default="", server_default=""),
    Column("name", String(255), nullable=False),
    Column("addr", String(64), nullable=False, default=""),
    Column("user", String(64), nullable=False, default=""),
    Column("ssh_port", Integer, nullable=False, default=22),
    Column("local_id", String(255), nullable=False, default=""),
    Column("server", String(255), nullable=False, default=""),
    Column("host_key", Text, nullable=False, default=""),
    Column("volume_device", String(255), nullable=False, default=""),
    Column("data_dir", String(255), nullable=False, default=""),
    Column("reach", JSON, nullable=False),
    # Seconds that its clock was ahead of ours when the host was looked at; empty where nobody knows.
    Column("clock_ahead", Float),
    Column("status", String(16), nullable=False),
    Index("instances_cluster", "cluster_id"),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("next", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

add_machinery(metadata)

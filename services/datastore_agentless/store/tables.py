"""The slice of datastore_agentless: catalogue, keys, clusters, instances, transcripts' counters, health, backups, exports."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from services.datastore_agentless.store.archive_tables import add_archives
from services.datastore_agentless.store.restore_table import add_restores
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
    Column("failover", String(16), nullable=False, default="automatic", server_default="automatic"),
    Column("failover_at", UtcDateTime),
    # What users have chosen, as its nodes have it; empty in clusters of before.
    Column("parameters", JSON),
    # The cluster's own address, and whom it is known to lead to.
    Column("addr", String(64), nullable=False, default="", server_default=""),
    Column("addr_leads_to", String(64), nullable=False, default="", server_default=""),
    # The backup that it begins with, and the server that has the data of it.
    Column("restore_id", String(64), nullable=False, default="", server_default=""),
    Column("restored_server", String(255), nullable=False, default="", server_default=""),
    # Up to when these take the log of after it.
    Column("restore_time", UtcDateTime),
    # What that backup is to be proved by, where the cluster is for nothing else.
    Column("proof", JSON),
    # Which data these are: empty for those that it has grown up with, else the restore in place that has brought them.
    Column("history", String(64), nullable=False, default="", server_default=""),
    Column("status", String(16), nullable=False),
)

# What engines say of their parameters; and for each cluster what users have wanted of them, and what became of it.
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
    Column("operation_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    # `values` is a word of SQL's own.
    Column("wanted", JSON, nullable=False),
    Column("restart_now", Boolean, nullable=False),
    Column("author", String(255), nullable=False),
    Column("in_hand", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("parameter_versions_cluster", "cluster_id", "version"),
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
    # What its server is, where that was ever said of it alone; any other is what its cluster says.
    Column("flavor", String(255)),
    Column("ram_mb", Integer),
    Column("vcpus", Integer),
    # Seconds that its clock was ahead of ours when the host was looked at; empty where nobody knows.
    Column("clock_ahead", Float),
    Column("status", String(16), nullable=False),
    Index("instances_cluster", "cluster_id"),
)

takeovers = Table(
    "takeovers",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("former_id", String(64), nullable=False),
    Column("wanted_id", String(64), nullable=False),
    Column("chosen_id", String(64), nullable=False),
    Column("accept_loss", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("evidence", JSON, nullable=False),
    Index("takeovers_cluster", "cluster_id", "state"),
)

rolls = Table(
    "rolls",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("action", String(16), nullable=False),
    Column("only_id", String(64), nullable=False),
    Column("in_hand", String(64), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("done_ids", JSON, nullable=False),
    Column("lived", JSON, nullable=False),
    Column("lives", JSON, nullable=False),
    Column("ending", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Index("rolls_cluster", "cluster_id", "state"),
)

# The size that a cluster is to have, by the last wish for it; and what the provider came to for each node's volume, and server.
resizes = Table(
    "resizes",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("volume_gb", Integer, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("flavor", JSON),
    Column("servers", JSON, nullable=False),
    Index("resizes_cluster", "cluster_id"),
)

# Who reads a log, and how far he has come: `place` is the file's inode and the next byte.
readings = Table(
    "readings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance_id", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("lines", Integer, nullable=False),
    Column("follow", Boolean, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("place", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Index("readings_instance", "instance_id"),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("next", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Who looks at a cluster, and when next. `slow`: a look at it may take long. `announced`: what is said to be wrong with it, the
# node's id and the verdict.
watches = Table(
    "watches",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
    Column("leased_until", UtcDateTime),
    Column("worker", String(64), nullable=False, default=""),
    Column("slow", Boolean, nullable=False, default=False),
    Column("announced", String(128), nullable=False, default=""),
    Index("watches_due", "due_at"),
)

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
    Column("suspicion", String(32), nullable=False, default=""),
    Column("told_at", UtcDateTime),
    Index("health_cluster", "cluster_id"),
)

# Changes of verdicts.
health_history = Table(
    "health_history",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("instance_id", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("message", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("health_history_cluster", "cluster_id", "id"),
    Index("health_history_age", "at"),
)

# A day of numbers of each node, in as many places as a day has: the sample of a day ago makes room for the one of now.
samples = Table(
    "samples",
    metadata,
    Column("id", String(96), primary_key=True),
    Column("instance_id", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("measured", JSON, nullable=False),
    Index("samples_of_cluster", "cluster_id", "at"),
    Index("samples_age", "at"),
)

# What an operation is to change of databases and users, until it has; with what servers are to keep of passwords.
account_changes = Table(
    "account_changes",
    metadata,
    Column("operation_id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("changes", Sealed, nullable=False),
    Index("account_changes_cluster", "cluster_id"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("listed", JSON, nullable=False),
)

# What backups there are, and were: they outlive their cluster.
backups = Table(
    "backups",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("operation_id", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cluster_name", String(255), nullable=False),
    Column("schedule_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base_id", String(64), nullable=False),
    Column("store", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("token", Sealed),
    Column("beginnings", Integer, nullable=False),
    Column("instance_id", String(64), nullable=False),
    Column("datastore", JSON, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("state", String(16), nullable=False),
    Index("backups_cluster", "cluster_id"),
    Index("backups_operation", "operation_id"),
)

# What a project's backups are encrypted to, and opened with.
backup_keys = Table(
    "backup_keys",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("public", Text, nullable=False),
    Column("private", Sealed, nullable=False),
)

# Data of clusters in forms that other tools read, each with the key that opens it: they outlive their cluster.
exports = Table(
    "exports",
    metadata,
    Column("id", String(64), primary_key=True),
    *(Column(f"{name}_id", String(64), nullable=False) for name in ("cluster", "project", "operation", "instance")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cluster_name", String(255), nullable=False),
    Column("format", String(16), nullable=False),
    Column("databases", JSON, nullable=False),
    Column("tables", JSON, nullable=False),
    Column("store", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("identity", Sealed),
    Column("token", Sealed),
    Column("beginnings", Integer, nullable=False),
    Column("datastore", JSON, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("state", String(16), nullable=False),
)  # fmt: skip

# What is to come into clusters: it goes with them.
imports = Table(
    "imports",
    metadata,
    Column("id", String(64), primary_key=True),
    *(Column(f"{name}_id", String(64), nullable=False) for name in ("cluster", "project", "operation", "export", "instance")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("beginnings", Integer, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("state", String(16), nullable=False),
    Index("imports_of_cluster", "cluster_id"),
)  # fmt: skip

# Data that took the place of others in clusters: what was there before is kept for a while.
restores = add_restores(metadata)

# Logs that are kept beside backups, and what is kept of them.
archives, log_runs = add_archives(metadata)

add_machinery(metadata)

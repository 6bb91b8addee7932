"""SSH by paramiko, and the only place that knows paramiko: warm connections, pinned host keys, bounded everything."""

from services.datastore_agentless.hosts.conversation import Output
from services.datastore_agentless.hosts.ssh.pool import SshPool
from services.datastore_agentless.hosts.ssh.settings import PoolSettings

__all__ = ["Output", "PoolSettings", "SshPool"]

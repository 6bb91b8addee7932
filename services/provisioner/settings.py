"""What the provisioner can be told."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import option
from shared.secrets import Secret


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = option("PROVISIONER_DATABASE_URL", "where the provisioner's database is, as an SQLAlchemy URL")
    keyring: str = option("DTROVE_KEYRING", "path of the keyring file; empty: `keyring` in DTROVE_HOME", default="")
    home: str = option("DTROVE_HOME", "where a local installation keeps its files", default="var")
    provider: str = option(
        "DTROVE_PROVIDER", "the cloud provider: local, or the dotted path of a provider class", default="local"
    )
    ssh_user: str = option("DTROVE_SSH_USER", "the user that servers let in", default="root")
    local_publish: str = option(
        "DTROVE_LOCAL_PUBLISH", "auto or always: publish ports of local hosts on loopback", default="auto"
    )
    workers: int = option("DTROVE_PROVISIONER_WORKERS", "steps that run at the same time", default=16)
    server_deadline: float = option("DTROVE_SERVER_DEADLINE", "seconds a server may take to come up", default=600.0)
    os_auth_url: str = option(
        "OS_AUTH_URL", "the URL of OpenStack's identity service", default="http://0.0.0.0:5000/v2.0"
    )
    os_nova_bypass_url: str = option("OS_NOVA_BYPASS_URL", "Nova's URL, instead of the catalogue's", default="")
    os_nova_endpoint_type: str = option("OS_NOVA_ENDPOINT_TYPE", "type of the Nova endpoint", default="publicURL")
    os_username: str = option("OS_USERNAME", "OpenStack user that owns all servers", default="")
    os_password: Secret = option("OS_PASSWORD", "that user's password", default=Secret(""), secret=True)
    os_project_id: str = option("OS_PROJECT_ID", "that user's project", default="")
    log_level: str = option("DTROVE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", default="INFO")

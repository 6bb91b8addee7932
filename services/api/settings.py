"""What the API can be told."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import option


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = option("API_DATABASE_URL", "where the API's database is, as an SQLAlchemy URL")
    keyring: str = option("DTROVE_KEYRING", "path of the keyring file; empty: `keyring` in DTROVE_HOME", default="")
    home: str = option("DTROVE_HOME", "where a local installation keeps its files", default="var")
    max_cluster_size: int = option("DTROVE_MAX_CLUSTER_SIZE", "the most nodes a cluster may have", default=5)
    bootstrap_token_hash: str = option(
        "DTROVE_BOOTSTRAP_TOKEN_HASH", "SHA-256 (hex) of the first administrator's token", default=""
    )
    web_address: str = option("WEB_SERVER_ADDRESS", "host:port where the API listens", default="127.0.0.1:8780")
    log_level: str = option("DTROVE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", default="INFO")

"""What datastore_agentless can be told."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from shared.config import option

BUILT_IN = (
    ("services.datastore_agentless.datastores.mysql.MySQLManager", "mysql"),
    ("services.datastore_agentless.datastores.pgsql.PostgresManager", "pgsql"),
    ("services.datastore_agentless.datastores.redis.RedisManager", "redis"),
)


def parse_managers(raw: Any) -> tuple[tuple[str, str], ...]:
    """Read a list of ('path.to.Manager', 'manager_name') pairs. Raises ValueError with a sentence."""
    try:
        pairs = ast.literal_eval(raw) if isinstance(raw, str) else raw
        return tuple((str(path), str(name)) for path, name in pairs)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError("must be a list of pairs: [('path.to.Manager', 'manager_name'), ...]") from error


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = option("DATASTORE_DATABASE_URL", "where this service's database is, as an SQLAlchemy URL")
    keyring: str = option("DTROVE_KEYRING", "path of the keyring file; empty: `keyring` in DTROVE_HOME", default="")
    managers: tuple[tuple[str, str], ...] = option(
        "DTROVE_DATASTORE_MANAGERS", "datastore managers: a list of ('path.to.Manager', 'manager_name')",
        default=BUILT_IN, parse=parse_managers,
    )  # fmt: skip
    prefix: str = option(
        "DTROVE_PREFIX",
        "prefix of every remote command; %(local_id)s and all other properties of the instance can be used in it",
        default="sudo -n ",
    )
    simulated_latency: float = option(
        "DTROVE_SIMULATED_LATENCY", "seconds that a command takes on the simulated hosts of the `fake` provider",
        default=0.005,
    )  # fmt: skip
    workers: int = option("DTROVE_DATASTORE_WORKERS", "steps that run at the same time", default=32)
    log_level: str = option("DTROVE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", default="INFO")

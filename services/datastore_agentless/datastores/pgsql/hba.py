"""Who may log in to PostgreSQL, and how: over the network nobody without a password, which `postgres` has none of as a rule.

Source: PostgreSQL's documentation, "The pg_hba.conf File".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.hosts.base import Put

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

_HBA = f"""# Written by DTrove.
local   all             postgres                                peer
local   replication     postgres                                peer
local   all             all                                     scram-sha-256
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
host    all             all             all                     scram-sha-256
host    replication     {REPLICATION_USER} all                 scram-sha-256
host    replication     all             samenet                 scram-sha-256
"""


def put_hba(manager: PostgresManager) -> Put:
    """The file; who runs has yet to read it."""
    return Put(
        f"{manager.config_dir}/pg_hba.conf", _HBA, mode=0o640, owner="postgres:postgres", title="write pg_hba.conf"
    )

"""What makes a node a standby, in files: whom it follows, by which login, and what says that its data are a copy.

Source: PostgreSQL's documentation, "Replication" (of its settings) and "Standby Server Operation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Script
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

PASSWORDS = "/var/lib/postgresql/.dtrove-replication"
OWNER = "postgres:postgres"
# Data with this file beside `standby.signal` may have parted from the cluster's: they are no copy, and never begin to be one.
PARTED = "dtrove-parted"

# A standby that hears nothing asks its primary for a sign of life after half of the first; the second is how soon it calls
# again when the line is gone.
_ROLE = """# Written by DTrove.
primary_conninfo = '{followed}'
primary_slot_name = '{slot}'
wal_receiver_timeout = '10s'
wal_retrieve_retry_interval = '1s'
"""


def slot_of(replica: Instance) -> str:
    """The standby's slot, and the name that it logs in with: letters, digits and underscores, as slots want it."""
    return "dtrove_" + replica.id.replace("-", "_")


def whom_to_follow(manager: PostgresManager, replica: Instance, primary: Instance) -> Script:
    """Write it, and the login for it; who runs has yet to read it."""
    yield Put(PASSWORDS, Secret(f"*:*:*:*:{_escaped(replica.replication_password.reveal())}\n"), mode=0o600,
              owner=OWNER, title="write the login for replication")  # fmt: skip
    slot = slot_of(replica)
    followed = (
        f"host={primary.addr} port={manager.port} user={REPLICATION_USER} passfile={PASSWORDS} "
        f"application_name={slot} connect_timeout=10"
    )
    yield Put(
        _role_file(manager), _ROLE.format(followed=followed, slot=slot), owner=OWNER, title="write whom to follow"
    )


def nobody_to_follow(manager: PostgresManager) -> Put:
    """The same file of a node that follows nobody."""
    return Put(_role_file(manager), "# Written by DTrove.\n", owner=OWNER, title="write that it follows nobody")


def whom_to_wait_for(manager: PostgresManager, names: str = "") -> Put:
    """For whom a commit waits: `names` as `synchronous_standby_names` takes them, or nobody."""
    return Put(f"{manager.config_dir}/conf.d/dtrove-sync.conf",
               f"# Written by DTrove.\nsynchronous_standby_names = '{names}'\n", owner=OWNER,
               title="write for whom a commit waits")  # fmt: skip


def _role_file(manager: PostgresManager) -> str:
    return f"{manager.config_dir}/conf.d/dtrove-role.conf"


def _escaped(password: str) -> str:
    """A password as it may stand in a password file."""
    return password.replace("\\", "\\\\").replace(":", "\\:")

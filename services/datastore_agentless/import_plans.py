"""What an import would run on the primary of a cluster, what is in it, and what it meets there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import Fetching
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.importing import Contents
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.plan import plan
from services.datastore_agentless.planning import shown_plan
from shared.contracts.accounts import Accounts
from shared.contracts.exports import TABLES_TOLD
from shared.errors import Conflict

_PLANNED = "planned"


def plan_import(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], within: Contents, listed: Accounts
) -> dict[str, Any]:
    """The plan, with `contents`: what comes in, which databases are in the way by the list of before, and how a failure is undone.

    Raises Conflict where the datastore takes no imports, or nobody leads the cluster. Where the parts come from is found out only then.
    """
    importing = manager.importing
    node = next((one for one in there if cluster.leads(one.id)), None)
    if importing is None or node is None:
        raise Conflict(f"cluster {cluster.name} takes no imports", what_to_do="wait until it is active")
    opening = transfer.Opening(sealed=False, login=importing.login(node))
    scripts = (
        manager.install_packages(node, transfer.PACKAGES), manager.install_packages(node, importing.packages),
        importing.in_the_way(node, within),
        transfer.receive(Fetching(()), importing.loads(node, within, _PLANNED), transfer.NONE, _PLANNED, title="load the export",
                         opening=opening),
        importing.settle(node, within), importing.forget(node, _PLANNED),
    )  # fmt: skip
    steps = [step for script in scripts for step in plan(script, node.secrets)]
    known = {one.name for one in listed.databases}
    stays = importing.stays(within)
    return shown_plan([node], {node.id: steps}) | {
        "lost": [stays] if stays else [],
        "contents": {
            "databases": list(within.databases), "chosen_tables": list(within.tables),
            "tables": [vars(one) for one in within.counted[:TABLES_TOLD]], "tables_total": len(within.counted), "rows": within.rows,
            "size_bytes": within.size_bytes, "volume_gb": cluster.volume_gb,
            "there": [] if within.tables else [name for name in within.databases if name in known],
            "undone": importing.undone(within),
        },
    }  # fmt: skip

"""Plans of changed parameters: of each host what changes in its file, what its engine is told, and whether it restarts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import unified_diff
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.parameters import Definitions
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts.plan import Planned, plan
from services.datastore_agentless.workflows.change_parameters import in_order, lowers
from shared.contracts.parameters import same
from shared.errors import Failure


def plan_change(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], wanted: Mapping[str, str], known: Definitions, *,
    restart_now: bool,
) -> dict[str, Any]:  # fmt: skip
    """What a change would do on each node, in order; the shape is api.md's plan. Raises Failure."""
    port, before = manager.parameters, cluster.parameters
    if port is None:
        raise Failure(f"the parameters of {manager.datastore.name} cannot be changed here",
                      what_to_do="set them when the datastore is registered")  # fmt: skip
    names = sorted((set(wanted) | set(before)) & set(known))
    ready = [node for node in there if node.status == Status.READY]
    hosts, late = [], set[str]()
    for node in in_order(cluster, ready, primary_first=lowers(known, before, wanted)):
        fresh = replace(node, parameters=dict(wanted))
        was, will = port.goals(node, names, known), port.goals(fresh, names, known)
        changed = [name for name in names if not same(known[name], was[name], will[name])]
        late |= {name for name in changed if known[name].restart}
        live = {name: will[name] for name in changed if not known[name].restart}
        texts = manager.render_config_file(node), manager.render_config_file(fresh)
        files = _files(plan(manager.write_configuration(fresh), node.secrets), *texts)
        told = [{"title": "have it take them while it runs", "command": "\n".join(port.statements(live, known))}]
        hosts.append({"host": node.name, "commands": told if live else [], "files": files})
    restarts = [
        f"the engine of {host['host']}, for {', '.join(sorted(late))}" for host in hosts if restart_now and late
    ]
    return {"hosts": hosts, "restarts": restarts, "moves": [], "lost": []}


def _files(steps: Sequence[Planned], before: str, after: str) -> list[dict[str, str]]:
    diff = "".join(unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), n=0))
    return [{"path": one.path, "diff": diff} for one in steps if one.path and diff]

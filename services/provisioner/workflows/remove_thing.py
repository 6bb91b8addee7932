"""Turns a server, volume or address that belongs to nobody into nothing, unless it has become somebody's meanwhile."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from services.provisioner.domain.findings import ADDRESS, Finding, Found, Why, compare, compare_addresses
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import addresses, findings, instances
from shared.contracts.values import Problem
from shared.db import Database, Tx
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow

REMOVE = "remove_thing"
# What no removal can put right: there is nothing to remove.
IRREMOVABLE = (Why.GONE,)


def payload(found: Found, *, asked: bool) -> dict[str, object]:
    """What the task is told; `asked` for an operator's word, without which only what is certain is removed."""
    return {"found": asdict(found), "asked": asked}


@dataclass(frozen=True)
class RemoveThing:
    """One step, over the clouds. Its task has the instance for its subject: nothing is built there at the same time."""

    database: Database
    clouds: Clouds

    def workflow(self) -> Workflow:
        """Look again, then remove."""
        return Workflow(REMOVE, (Step("remove", self._remove, deadline=300),), on_failure=self._failed)

    def _remove(self, context: StepContext) -> Outcome:
        found = Found(**context.task.payload["found"])
        seen = [one for one in self.clouds.ours_in(found.account) if _tag(one) == _tag(found)]
        if found not in seen:
            return Next(save=lambda tx: findings.drop(tx, found), message=f"the {found.kind} {found.id} is gone")
        verdict = self._verdict(seen, found)
        if verdict is None or not (verdict.certain or context.task.payload["asked"]):
            return Next(save=lambda tx: findings.put(tx, found, task_id=""),
                        message=f"the {found.kind} {found.id} stays: it may be in use by now")  # fmt: skip
        self.clouds.account(found.account).remove(found)
        return Next(save=lambda tx: findings.drop(tx, found), message=f"the {found.kind} {found.id} was removed")

    def _verdict(self, seen: list[Found], found: Found) -> Finding | None:
        """What is the matter with it now, seen with the provider's and the database's present words."""
        with self.database.read() as connection:
            known = instances.known(connection, self.database, [found.instance_id])
            places = addresses.known(connection, [found.cluster_id])
        differences = compare(seen, known, ()) + compare_addresses(seen, places)
        return next((one for one in differences if one.found == found), None)

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        trouble = " ".join(filter(None, (problem.message, problem.what_to_do)))
        findings.put(tx, Found(**task.payload["found"]), task_id="", trouble=trouble)


def _tag(found: Found) -> tuple[str, str]:
    """Whose it is: an address is a cluster's, whichever instance it leads to, all else is an instance's."""
    return ("cluster", found.cluster_id) if found.kind == ADDRESS else ("instance", found.instance_id)

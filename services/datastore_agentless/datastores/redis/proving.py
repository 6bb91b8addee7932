"""Redis's restored data: a snapshot was read as a whole, or nothing of it; its keys are held against its own count.

Source: Redis's documentation, "INFO", "SELECT" and "Redis serialization protocol specification".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.proving import ASK_SECONDS, READABLE, Proving, judged
from services.datastore_agentless.datastores.redis.dumping import Snapshot
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import ANY_CODE, Script
from shared.contracts.backups import CheckResult, ProofCheck

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

# What an error begins with, to a client that prints no more than the answer.
_ERROR = re.compile(r"(ERR|WRONGTYPE|NO[A-Z]+|EXECABORT|OOM|READONLY|BUSY|LOADING|MISCONF|UNKILLABLE) ")


class RedisProving(Proving):
    """As the administrator, over the network address."""

    manager: RedisManager

    def look(self, node: Instance) -> Script:
        """Keys that had a time to live may have gone meanwhile."""
        kept = yield from Snapshot(self.manager).keys(node)
        found = f"{kept.there} of {kept.keys} keys, of which {kept.mortal} had a time to live"
        words = "" if kept.is_whole else "keys are missing"
        return {"keys": kept.there}, [CheckResult(name=READABLE, passed=kept.is_whole, found=found, message=words)]

    def ask(self, node: Instance, name: str, check: ProofCheck) -> Script:
        """In a database of the user's choice, by its number, else in 0."""
        chosen = f"SELECT {self.manager.argument(check.database or '0')}"
        question = self.manager.asked(node, chosen, check.sql, title=f"ask {check.name}", changes=False,
                                      sample=f"OK\nOK\n{check.expect or ''}\n")  # fmt: skip
        answer = yield replace(question, ok_codes=ANY_CODE, timeout=ASK_SECONDS)
        *before, said = [*answer.stdout.split("\n", 2), "", "", ""][:3]
        found = said.strip()
        well = answer.code == 0 and before == ["OK", "OK"] and not _ERROR.match(found)
        return judged(check, found, (answer.stderr or answer.text)[-500:], well=well)

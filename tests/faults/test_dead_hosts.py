"""Row 6: hosts that accept a connection and never say a word cost the others next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pytest

from bench.figures import percentile, ratio_at_most
from tests.faults.node import SSHD_PORT, Node
from tests.faults.traffic import insist, operation_of
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.fault(6), pytest.mark.timeout(3600)]
HOSTS, DEAD = 10, 3


@dataclass
class Fleet:
    """One real host that DTrove knows as ten, each behind a line of its own."""

    node: Node
    lines: dict[str, Proxy]

    def at_work(self, hosts: list[str], rounds: int) -> list[float]:
        """Run commands on hosts side by side, one after the other on each; the seconds that each operation took."""
        with ThreadPoolExecutor(len(hosts)) as threads:
            return [one for each in threads.map(lambda host: self._work(host, rounds), hosts) for one in each]

    def ask(self, host: str, command: str = "true") -> str:
        """Have a command run; the operation."""
        wish = {"name": "fleet", "commands": [command]}
        return operation_of(insist(self.node.stack, "POST", f"/v1/instances/{host}/perform", wish))

    def _work(self, host: str, rounds: int) -> list[float]:
        taken = []
        for _ in range(rounds):
            ended = self.node.stack.end_of(self.ask(host), 120)
            assert ended["status"] == "succeeded", ended
            began, finished = (datetime.fromisoformat(ended[name]) for name in ("created_at", "finished_at"))
            taken.append((finished - began).total_seconds())
        return taken


@pytest.fixture
def fleet(lined: Node) -> Iterator[Fleet]:
    lines = {str(uuid4()): Proxy(SSHD_PORT, lined.addr) for _ in range(HOSTS)}
    for number, (host, line) in enumerate(lines.items()):
        _copy(lined, host, f"fleet-{number}", line.port)
    yield Fleet(lined, lines)
    for service in ("api", "datastore_agentless"):
        lined.stack.rows(service, "delete from instances where name like 'fleet-%%'", ())
    for line in lines.values():
        line.close()


def _copy(node: Node, host: str, name: str, port: int) -> None:
    """Let API and datastore_agentless know the node under another id, behind another line."""
    for service, changed in (("api", {}), ("datastore_agentless", {"reach": f'{{"22": "127.0.0.1:{port}"}}'})):
        changes = {"id": host, "name": name, **changed}
        columns = [row[0] for row in node.stack.rows(
            service, "select column_name from information_schema.columns where table_name = 'instances'")]  # fmt: skip
        chosen = ", ".join("%s" if column in changes else f'"{column}"' for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        values = tuple(changes[column] for column in columns if column in changes)
        node.stack.rows(service, f"insert into instances ({names}) select {chosen} from instances where id = %s",
                        (*values, node.instance))  # fmt: skip


def test_three_of_ten_hosts_that_never_answer_hold_up_none_of_the_others(
    fleet: Fleet, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    hosts = list(fleet.lines)
    dead, living = hosts[:DEAD], hosts[DEAD:]
    rounds, turns = times(2, 12), times(1, 4)
    fleet.at_work(hosts, 1)
    before: list[float] = []
    during: list[float] = []
    for _ in range(turns):
        before += fleet.at_work(living, rounds)
        for host in dead:
            fleet.lines[host].cut()
            fleet.lines[host].silence()
        # Ten pieces of work for each of the dead: more than enough to fill every worker, were they let.
        waiting = [fleet.ask(host) for host in dead for _ in range(10)]
        during += fleet.at_work(living, rounds)
        assert all(fleet.node.stack.operation(one)["status"] in ("pending", "running") for one in waiting)  # type: ignore[index]
        for host in dead:
            fleet.lines[host].resume()
        for one in waiting:
            assert fleet.node.stack.end_of(one, 120)["status"] == "succeeded"
    figure(6, f"p95 of an operation on {len(living)} hosts beside {DEAD} that never answer", len(during),
           percentile(during, 95), "s", ratio_at_most(1.2), percentile(before, 95))  # fmt: skip

"""One real database host of a stack, with its line to the controller in the test's hands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.models.containers import Container

from services.provisioner.providers.local.engine import connect
from tests.faults.stack import Stack
from tests.faults.traffic import insist, operation_of
from tests.support.containers import said
from tests.support.installation import wait_for
from tests.support.proxy import Proxy

SSHD_PORT = 2222
# A second sshd beside the one that is the host's first process: this one may be stopped without the host's end.
_SSHD = "/usr/sbin/sshd -p {port} -E /var/log/sshd-2 -o PidFile=/run/sshd-2.pid -o LogLevel=DEBUG1 {more}"


@dataclass
class Node:
    """The host of a cluster with one instance. `line` leads to the second sshd, once `through` has sent DTrove there."""

    stack: Stack
    cluster: str
    instance: str = ""
    container: Container = field(init=False)
    line: Proxy | None = None

    def __post_init__(self) -> None:
        (shown,) = self.stack.get(f"/v1/clusters/{self.cluster}/instances")["instances"]
        self.instance, self.addr = shown["id"], shown["addr"]
        self.client: docker.DockerClient = connect(self.stack.home)
        self.container = self.client.containers.get(f"dtrove-{self.instance}")

    def sh(self, line: str) -> str:
        """What a command prints, run from inside."""
        return said(self.container, line)

    def start_sshd(self, more: str = "") -> None:
        """Start the second sshd, with other options."""
        said = self.sh(_SSHD.format(port=SSHD_PORT, more=more))
        assert not said, said

    def stop_sshd(self) -> None:
        """End it with every session of it; what they started lives on."""
        # Its sessions are its children.
        self.sh("p=$(cat /run/sshd-2.pid 2>/dev/null); for f in /proc/[0-9]*/stat; do s=$(cat $f 2>/dev/null) || continue; "
                "set -- ${s##*) }; [ \"$2\" = \"$p\" ] && kill -9 ${s%% *}; done; kill -9 $p; rm -f /run/sshd-2.pid")  # fmt: skip

    def through(self, line: Proxy | None) -> None:
        """Send DTrove through a line from now on; None: straight to the host's own sshd."""
        self.line = line
        reach = {} if line is None else {"22": f"127.0.0.1:{line.port}"}
        self.stack.rows("datastore_agentless", "update instances set reach = %s where id = %s",
                        (json.dumps(reach), self.instance))  # fmt: skip

    def perform(self, *commands: str) -> str:
        """Have commands run on it; the operation."""
        wish = {"name": "fault", "commands": list(commands)}
        return operation_of(insist(self.stack, "POST", f"/v1/instances/{self.instance}/perform", wish))

    def performed(self, operation: str, seconds: float = 300) -> list[dict[str, Any]]:
        """Wait for its end, which must be a good one; the results."""
        ended = self.stack.end_of(operation, seconds)
        assert ended["status"] == "succeeded", ended
        return list(ended["result"]["results"])

    def said(self, operation: str, words: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until a step of an operation says so; the step."""

        def look() -> dict[str, Any] | None:
            shown = self.stack.operation(operation) or {"steps": []}
            return next((step for step in shown["steps"] if words in step["message"]), None)

        return dict(wait_for(look, seconds, 0.05, f"a step that says {words!r}"))

    def runs(self, operation: str, seconds: float = 60) -> None:
        """Wait until its first command has begun to print."""
        wait_for(lambda: "out:" in (self.stack.operation(operation) or {}).get("output", ""), seconds, 0.05, "output")

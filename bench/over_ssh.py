"""DTrove's own scripts for a host, run on it past DTrove: over the ssh binary, one command after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.openssh import Line
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Result, Script, Target
from services.datastore_agentless.hosts.runner import ENVIRONMENT, HostRunner
from services.datastore_agentless.hosts.ssh import Output, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from shared.secrets import Secret


@dataclass(kw_only=True)
class OverSsh(HostRunner):
    """Runs scripts over the ssh binary: no fence, no time limit, and a job is a command that is waited for."""

    way: Line

    def follow(self, command: Job) -> Result:
        done = self._remote(command.script, b"", command.timeout)
        return Result(done.code, done.stdout.decode(), done.stderr.decode())

    def _remote(self, line: str, stdin: bytes, timeout: float) -> Output:
        done = self.way.attempt(ENVIRONMENT + line, stdin=stdin.decode(), timeout=timeout)
        return Output(done.returncode, done.stdout.encode(), done.stderr.encode())


@dataclass(frozen=True)
class Node:
    """A host with a database: as its manager sees it, and the way to it."""

    instance: Instance
    way: Line

    def run(self, work: Script) -> Any:
        """Run one of the manager's scripts."""
        host = Target(name=self.instance.name, addr=self.instance.addr, port=22, user=self.way.user,
                      private_key=Secret(""), known_host="")  # fmt: skip
        runner = OverSsh(pool=SshPool(), target=host, task_id="benchmark", epoch=1,
                         transcript=Transcript(host=self.instance.name), way=self.way)  # fmt: skip
        return runner.execute(work)

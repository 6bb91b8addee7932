"""Two servers, the second of which is given what the first one has: by a stream in a file that both see, or as a replica."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import uuid4

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.dumping import Dumping
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.hosts.base import Job, Script, quote
from services.provisioner.providers.local.host import PACKAGES_DIR
from shared.secrets import Secret
from tests.component.hosts import lifelike
from tests.component.hosts.outside import ASK
from tests.component.hosts.real import RealHost
from tests.support.installation import wait_for


@dataclass
class Pair:
    """A server with data, another one, and a file that both hosts see."""

    manager: BaseManager
    source: RealHost
    target: RealHost
    file: str = field(default_factory=lambda: f"{PACKAGES_DIR}/{uuid4().hex}.stream")

    @property
    def dumping(self) -> Dumping:
        assert self.manager.dumping is not None
        return self.manager.dumping

    def pipeline(self, host: RealHost) -> str:
        """What sends, between a login on standard input and a file, as a backup does."""
        sends = f"set -euo pipefail\nIFS= read -r login || true\n{{\n{self.dumping.sends(host.node)}}} 7>/dev/null | zstd -q > {self.file}\n"
        return f"exec bash -c {quote(sends)}"

    def send(self, host: RealHost) -> None:
        host.driver().execute(self._sent(host))

    def receive(self, host: RealHost, before: str = "cat") -> None:
        receives = f"set -euo pipefail\n{before} {self.file} | zstd -dq | {{\n{self.dumping.receives(host.node)}}}\n"
        host.driver().execute(_job("receive", f"exec bash -c {quote(receives)}"))

    def restore(self) -> None:
        """All of it, as a restore does."""
        self.receive(self.target)
        node = self.target.node
        for script in (self.dumping.take_over(node), self.manager.secure(node), self.manager.verify(node)):
            self.target.driver().execute(script)

    def all_of(self, host: RealHost) -> str:
        return lifelike.all_of(host, self.manager)

    def ask(self, host: RealHost, user: str, words: str, question: str = "") -> str:
        more = {"question": question} if question else {}
        return ASK[self.manager.name](host.node.addr, user, words, **more)

    def _sent(self, host: RealHost) -> Script:
        yield from self.dumping.ready(host.node)
        yield from _job("send", self.pipeline(host), self.dumping.login(host.node))


def _job(name: str, script: str, stdin: Secret | None = None) -> Script:
    yield Job(name, script, title=name, stdin=stdin, timeout=300)


def replicate(manager: BaseManager, primary: RealHost, replica: RealHost) -> None:
    """Have one server follow another, as a node that returns to its cluster."""
    topology, one = manager.topology, primary.node
    assert topology is not None
    other = replace(replica.node, admin_password=one.admin_password, replication_password=one.replication_password)
    replica.node, copying = other, topology.copying
    on_one, on_other = primary.driver().execute, replica.driver().execute
    replica.make(manager)
    on_one(topology.admit(one, other))
    on_other(topology.reset(other))
    if copying is not None:
        public_key = on_other(copying.ask(other))
        on_one(copying.lend(one, other, public_key))
        on_other(copying.take(other, one, one))
        on_one(copying.end(one, other))
    on_other(topology.join(other, one, one))
    wait_for(lambda: on_other(topology.following(other, one)) == STREAMS, 60, every=0.5, what="a replica that follows")

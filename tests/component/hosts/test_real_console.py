"""DTROVE_PREFIX for real: an instance that is reached only by a command on its compute host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.datastore_agentless.hosts.prefix import fill
from tests.component.hosts.outside import ask_redis
from tests.component.hosts.real import PASSWORD, RealHost, RealHosts, manager_of

pytestmark = [pytest.mark.real, pytest.mark.slow]
# Like OpenVZ's: what follows is joined to one line, for a shell of the instance.
VZCTL = """#!/bin/sh
[ "$1" = exec ] || { echo "usage: vzctl exec CTID command" >&2; exit 2; }
addr=$(cat "/etc/vz/$2") || { echo "container $2 does not exist" >&2; exit 1; }
shift 2
exec ssh -q -i /root/inside -o BatchMode=yes -o StrictHostKeyChecking=accept-new "root@$addr" "$*"
"""


@pytest.fixture
def instance(real_hosts: RealHosts) -> RealHost:
    """An instance whose SSH leads to its compute host, where `vzctl exec ID` leads to the instance."""
    compute, inside = real_hosts.make(), real_hosts.make()
    compute.sh("ssh-keygen -q -t ed25519 -N '' -f /root/inside; mkdir -p /etc/vz; chmod 711 /etc/vz")
    key = compute.sh("cat /root/inside.pub")
    inside.sh(f"echo '{key}' > /root/.ssh/authorized_keys")
    compute.sh(
        f"echo {inside.node.addr} > '/etc/vz/ct 101'; cat > /usr/sbin/vzctl <<'END'\n{VZCTL}END\nchmod 755 /usr/sbin/vzctl"
    )
    node = replace(
        inside.node, local_id="ct 101", host_key=compute.node.host_key, reach={"22": f"{compute.node.addr}:22"}
    )
    return RealHost(inside.container, node, real_hosts.pool)


def test_a_database_is_made_and_verified_through_the_compute_host_alone(instance: RealHost) -> None:
    manager = manager_of("redis")
    prefix = fill("sudo -n /usr/sbin/vzctl exec %(local_id)s ", instance.node.properties, "root")
    target = instance.target(prefix=prefix)
    for script in (manager.preflight(instance.node), manager.prepare(instance.node), manager.verify(instance.node)):
        instance.driver(target=target).execute(script)
    assert instance.processes("redis-server")
    assert "redis_version:7.0" in ask_redis(instance.node.addr, "dtrove", PASSWORD)
    assert PASSWORD not in repr(instance.entries)

"""Redis: one administrator with a password, the default user shut."""

from __future__ import annotations

import hashlib

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Result, Run, Script, quote
from shared.secrets import Secret


class RedisManager(BaseManager):
    """Redis with an access list: nobody comes in without a login."""

    service_name = "redis-server"
    process = "redis-server"
    port = 6379
    url_scheme = "redis"
    url_database = "0"
    min_ram_mb = 128
    config_template = "redis.conf.j2"

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        return f"{instance.data_dir}/redis" if instance.data_dir else "/var/lib/redis"

    def configure(self, instance: Instance) -> Script:
        """Write the configuration and the access list; the password is there only as its SHA-256, as Redis takes it."""
        data = quote(self.data_path(instance))
        yield Run(f"mkdir -p {data} && chown redis:redis {data} && chmod 750 {data}", title="make the data directory")
        if instance.data_dir:
            # Under systemd the service sees the whole file system read-only, but for the places that its unit names.
            unit = yield Put("/etc/systemd/system/redis-server.service.d/dtrove.conf", _SANDBOX.format(data=self.data_path(instance)),
                             title="write the unit's drop-in")  # fmt: skip
            if unit.changed:
                yield Run("[ ! -d /run/systemd/system ] || systemctl daemon-reload", title="read the units again")
        digest = hashlib.sha256(instance.admin_password.reveal().encode()).hexdigest()
        access = yield Put("/etc/redis/users.acl", Secret(f"user default off\nuser {instance.admin_user} on #{digest} ~* &* +@all\n"),
                           mode=0o640, owner="redis:redis", title="write the access list")  # fmt: skip
        written = yield Put("/etc/redis/redis.conf", self.render_config_file(instance), mode=0o640, owner="redis:redis",
                            title="write redis.conf")  # fmt: skip
        return access.changed or written.changed

    def question(self, instance: Instance) -> Run:
        """Log in over the network address, and read the server's version."""
        login = f"AUTH {_argument(instance.admin_user)} {_argument(instance.admin_password.reveal())}"
        return Run(
            ("redis-cli", "-h", instance.addr, "-p", str(self.port)), title="log in and ask",
            stdin=Secret(f"{login}\nINFO server\n"), changes=False, sample=f"redis_version:{self.datastore.version}\n",
        )  # fmt: skip

    def answered_version(self, answer: Result) -> str:
        """The line `redis_version:7.0.15` of the answer, or what stands there instead."""
        lines = dict(line.split(":", 1) for line in answer.stdout.splitlines() if ":" in line)
        return lines.get("redis_version", answer.text[:100])


_SANDBOX = """# Written by DTrove.
[Service]
ReadWritePaths={data}
"""


def _argument(text: str) -> str:
    """A value as redis-cli reads it from its standard input. Source: sdssplitargs in Redis's sds.c."""
    return (
        '"'
        + "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())
        + '"'
    )

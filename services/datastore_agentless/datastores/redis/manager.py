"""Redis: one administrator with a password, the default user shut."""

from __future__ import annotations

import hashlib
import re

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.redis.access import ACCESS_FILE
from services.datastore_agentless.datastores.redis.accounts import RedisAccounts
from services.datastore_agentless.datastores.redis.counting import RedisCounting
from services.datastore_agentless.datastores.redis.dumping import Snapshot
from services.datastore_agentless.datastores.redis.exporting import RedisExporting
from services.datastore_agentless.datastores.redis.importing import RedisImporting
from services.datastore_agentless.datastores.redis.parameters import RedisParameters
from services.datastore_agentless.datastores.redis.proving import RedisProving
from services.datastore_agentless.datastores.redis.takeover import PING_SECONDS, ROLE_FILE
from services.datastore_agentless.datastores.redis.tallying import RedisTallying
from services.datastore_agentless.datastores.redis.topology import RedisReplication
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Result, Run, Script, quote
from shared.secrets import Secret

WRITTEN = "written"


class RedisManager(BaseManager):
    """Redis with an access list: nobody comes in without a login."""

    service_name = "redis-server"
    process = "redis-server"
    port = 6379
    url_scheme = "redis"
    url_database = "0"
    min_ram_mb = 128
    hello = b"PING\r\n"
    config_template = "redis.conf.j2"
    topology_class = RedisReplication
    parameters_class = RedisParameters
    accounts_class = RedisAccounts
    dumping_class = Snapshot
    exporting_class = RedisExporting
    importing_class = RedisImporting
    proving_class = RedisProving
    tallying_class = RedisTallying
    role_file = ROLE_FILE
    ping_seconds = PING_SECONDS

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        return f"{instance.data_dir}/redis" if instance.data_dir else "/var/lib/redis"

    @property
    def counting(self) -> RedisCounting:
        """How it is asked for its numbers."""
        return RedisCounting(self)

    def log_path(self, instance: Instance) -> str:
        """As redis.conf has it."""
        return "/var/log/redis/redis-server.log"

    def configure(self, instance: Instance) -> Script:
        """Write the configuration and the access list; the password is there only as its SHA-256, as Redis takes it.

        Users that were made since stay in the list, and so does what has become of `default`.
        """
        data = quote(self.data_path(instance))
        yield Run(f"mkdir -p {data} && chown redis:redis {data} && chmod 750 {data}", title="make the data directory")
        if instance.data_dir:
            # Under systemd the service sees the whole file system read-only, but for the places that its unit names.
            unit = yield Put("/etc/systemd/system/redis-server.service.d/dtrove.conf", _SANDBOX.format(data=self.data_path(instance)),
                             title="write the unit's drop-in")  # fmt: skip
            if unit.changed:
                yield Run(scripts.READ_UNITS, title="read the units again")
        # Whom a replica follows stays as it is.
        yield Run(
            f"[ -f {ROLE_FILE} ] || install -m 640 -o redis -g redis /dev/null {ROLE_FILE}",
            title="make the file of its role",
        )
        access = yield Run(_KEEP_ACCESS, title="write the access list", stdin=Secret(_access_list(instance)))
        written = yield from self.write_configuration(instance)
        return access.text == WRITTEN or written

    def write_configuration(self, instance: Instance) -> Script:
        """Write redis.conf."""
        written = yield Put("/etc/redis/redis.conf", self.render_config_file(instance), mode=0o640, owner="redis:redis",
                            title="write redis.conf")  # fmt: skip
        return written.changed

    def question(self, instance: Instance) -> Run:
        """Log in over the network address, and read the server's version."""
        return self.asked(instance, "INFO server", title="log in and ask", changes=False,
                          sample=f"redis_version:{self.datastore.version}\n")  # fmt: skip

    def answered_version(self, answer: Result) -> str:
        """The line `redis_version:7.0.15` of the answer, or what stands there instead."""
        return self.told(answer).get("redis_version", answer.text[:100])

    def asked(self, instance: Instance, *commands: str, title: str, changes: bool = True, sample: str = "") -> Run:
        """Commands of Redis's, given as the administrator over the network address."""
        return Run(
            ("redis-cli", "-h", instance.addr, "-p", str(self.port)), title=title, changes=changes, sample=sample,
            stdin=Secret("\n".join([self.login(instance), *commands, ""])),
        )  # fmt: skip

    def login(self, instance: Instance) -> str:
        """The command by which the administrator logs in, as redis-cli reads it."""
        return f"AUTH {self.argument(instance.admin_user)} {self.argument(instance.admin_password.reveal())}"

    @staticmethod
    def told(answer: Result) -> dict[str, str]:
        """The lines `name:value` of an answer to INFO."""
        return dict(line.strip().split(":", 1) for line in answer.stdout.splitlines() if ":" in line)

    @staticmethod
    def argument(text: str) -> str:
        """A value as redis-cli reads it from its standard input. Source: sdssplitargs in Redis's sds.c."""
        return (
            '"'
            + "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())
            + '"'
        )

    def configured(self, value: str) -> str:
        """A value as redis.conf takes it: words as they are, what Redis would read otherwise in quotes."""
        return value if re.fullmatch(r"[^\"'\\#\s]+( [^\"'\\#\s]+)*", value) else self.argument(value)


_SANDBOX = """# Written by DTrove.
[Service]
ReadWritePaths={data}
"""

# A list that has DTrove's lines, with these passwords, stays as it is, however Redis has put them.
_KEEP_ACCESS = f"""set -e
f={ACCESS_FILE}; umask 077; cat >$f.mine; [ -f $f ] || : >$f
if [ "$(awk 'NR == FNR {{ mine[$2] = $4; next }}
  $2 in mine {{ if (mine[$2] !~ /^#/ || index($0 " ", " " mine[$2] " ")) known++; delete mine[$2] }}
  END {{ for (one in mine) known--; print known }}' $f.mine $f)" != 3 ]; then
  awk 'NR == FNR {{ mine[$2]; print; next }} !($2 in mine)' $f.mine $f >$f.new
  chown redis:redis $f.new; chmod 640 $f.new; mv $f.new $f; echo {WRITTEN}
fi
rm -f $f.mine"""


def _access_list(instance: Instance) -> str:
    """Who comes in: the administrator, and replicas to what they need; passwords are there only as their SHA-256."""
    admin, replica = (
        hashlib.sha256(one.reveal().encode()).hexdigest()
        for one in (instance.admin_password, instance.replication_password)
    )
    return (
        f"user default off\nuser {instance.admin_user} on #{admin} ~* &* +@all\n"
        f"user {REPLICATION_USER} on #{replica} resetchannels -@all +psync +replconf +ping\n"
    )

"""MySQL: MariaDB as Debian packages it, or MySQL's own server where the packages say so."""

from __future__ import annotations

import re

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.datastores.mysql.accounts import MariaAccounts
from services.datastore_agentless.datastores.mysql.archiving import BinaryLog
from services.datastore_agentless.datastores.mysql.counting import MariaDbCounting
from services.datastore_agentless.datastores.mysql.dumping import HotBackup
from services.datastore_agentless.datastores.mysql.exporting import MariaDbExporting
from services.datastore_agentless.datastores.mysql.importing import MariaDbImporting
from services.datastore_agentless.datastores.mysql.parameters import MariaDbParameters
from services.datastore_agentless.datastores.mysql.proving import MariaDbProving
from services.datastore_agentless.datastores.mysql.replaying import BinaryLogReplay
from services.datastore_agentless.datastores.mysql.tallying import MariaDbTallying
from services.datastore_agentless.datastores.mysql.topology import GtidReplication, sql_text
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Run, Script, quote
from shared.secrets import Secret


class MySQLManager(BaseManager):
    """root only over the local socket, no anonymous users, no test database."""

    port = 3306
    url_scheme = "mysql"
    min_ram_mb = 512
    # Source: "Client/Server Protocol": the server greets whoever connects.
    hello = b""
    config_template = "my.cnf.j2"

    @property
    def is_mariadb(self) -> bool:
        """Whether the packages are MariaDB's."""
        return not any(package.startswith("mysql-") for package in self.datastore.packages)

    @property
    def topology(self) -> GtidReplication | None:
        """MariaDB's; MySQL's own is another one."""
        return GtidReplication(self) if self.is_mariadb else None

    @property
    def parameters(self) -> MariaDbParameters | None:
        """MariaDB's; MySQL's own server has no such catalogue."""
        return MariaDbParameters(self) if self.is_mariadb else None

    @property
    def accounts(self) -> MariaAccounts | None:
        """MariaDB's; MySQL's own server keeps its accounts elsewhere."""
        return MariaAccounts(self) if self.is_mariadb else None

    @property
    def dumping(self) -> HotBackup | None:
        """MariaDB's; mariadb-backup does not read what MySQL's own server writes."""
        return HotBackup(self) if self.is_mariadb else None

    @property
    def exporting(self) -> MariaDbExporting | None:
        """MariaDB's; MySQL's own server has other tools."""
        return MariaDbExporting(self) if self.is_mariadb else None

    @property
    def importing(self) -> MariaDbImporting | None:
        """MariaDB's own; MySQL's has none here."""
        return MariaDbImporting(self) if self.is_mariadb else None

    @property
    def proving(self) -> MariaDbProving | None:
        """MariaDB's, as its backups are."""
        return MariaDbProving(self) if self.is_mariadb else None

    @property
    def tallying(self) -> MariaDbTallying | None:
        """MariaDB's, as its backups are."""
        return MariaDbTallying(self) if self.is_mariadb else None

    @property
    def archiving(self) -> BinaryLog | None:
        """MariaDB's, of a version whose tools find their way in a log by global transaction ids."""
        return BinaryLog(self) if self._replays else None

    @property
    def replaying(self) -> BinaryLogReplay | None:
        """As its archive."""
        return BinaryLogReplay(self) if self._replays else None

    @property
    def _replays(self) -> bool:
        """Source: MariaDB's release notes of 10.8, mariadb-binlog's `--start-position`."""
        return self.is_mariadb and self._version >= (10, 8)

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.datastore.version)[:2])

    @property
    def service_name(self) -> str:  # type: ignore[override]
        """The init system's name."""
        return "mariadb" if self.is_mariadb else "mysql"

    @property
    def process(self) -> str:  # type: ignore[override]
        """The server's process."""
        return "mariadbd" if self.is_mariadb else "mysqld"

    @property
    def counting(self) -> MariaDbCounting:
        """How it is asked for its numbers."""
        return MariaDbCounting(is_mariadb=self.is_mariadb)

    def configure(self, instance: Instance) -> Script:
        """Put the data directory on the volume, then write the configuration."""
        if instance.data_dir:
            yield Run(_MOVE.format(data=quote(self.data_path(instance)), gone=scripts.gone(self.process)),
                      title="put the data on the volume", timeout=180)  # fmt: skip
        # Not every package makes it, and without it the server does not start.
        yield Run(f"[ -d {_LOG_DIR} ] || install -d -m 2750 -o mysql -g adm {_LOG_DIR}", title="make the log's folder")
        return (yield from self.write_configuration(instance))

    def write_configuration(self, instance: Instance) -> Script:
        """Write my.cnf."""
        # MariaDB reads this folder last, so that nothing of the packages' own overrides what is written here.
        folder = "mariadb.conf.d" if self.is_mariadb else "mysql.conf.d"
        written = yield Put(
            f"/etc/mysql/{folder}/zz-dtrove.cnf", self.render_config_file(instance), title="write my.cnf"
        )
        return written.changed

    def bound_to(self, instance: Instance) -> str:
        """Where it listens: at the server's address, and at the cluster's own, which may be elsewhere just now.

        A server that takes one address only listens at all of them then. Source: MariaDB's documentation of `bind_address`, several
        addresses since 10.11; MySQL's, since 8.0.13.
        """
        if not instance.cluster_addr:
            return instance.addr
        several = (10, 11) if self.is_mariadb else (8, 0)
        return f"{instance.addr},{instance.cluster_addr}" if self._version >= several else "*"

    @staticmethod
    def configured(value: str) -> str:
        """A value as an option file takes it: in quotes where MariaDB would read it otherwise, and nobody has quoted it."""
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        return value if quoted or not re.search(r"[#'\"\\]|^\s|\s$", value) else f'"{_option(value)}"'

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        return f"{instance.data_dir}/mysql" if instance.data_dir else "/var/lib/mysql"

    def log_path(self, instance: Instance) -> str:
        """As my.cnf has it: left to themselves, Debian's scripts hand it to a syslog that may not be there."""
        return _LOG

    def start(self) -> Script:
        """Start the server, where it does not run; why it did not is in its own log, and nowhere else."""
        started = scripts.service("start", self.service_name)
        yield Run(
            f"{{ {started}; }} || {{ tail -n 15 {_LOG} >&2; false; }}", title=f"start {self.service_name}", timeout=120
        )
        yield from self.wait_for_port()

    def secure(self, instance: Instance) -> Script:
        """Drop everyone who could come in without a password, then make the administrator."""
        user, password = sql_text(instance.admin_user), sql_text(instance.admin_password.reveal())
        accounts = "mysql.global_priv" if self.is_mariadb else "mysql.user"
        statements = [
            "SET SESSION sql_mode = ''",
            f"DELETE FROM {accounts} WHERE User = ''",
            f"DELETE FROM {accounts} WHERE User = 'root' AND Host <> 'localhost'",
            "DROP DATABASE IF EXISTS test",
            "FLUSH PRIVILEGES",
            "ALTER USER root@localhost IDENTIFIED " + ("VIA unix_socket" if self.is_mariadb else "WITH auth_socket"),
            f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}'",
            f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT ALL PRIVILEGES ON *.* TO '{user}'@'%' WITH GRANT OPTION",
        ]
        # The binary log would keep the statements and hand them on to replicas: the session leaves it out.
        sql = ";\n".join(["SET SESSION sql_log_bin = 0", *statements]) + ";\n"
        yield Run(("mysql", "--protocol=socket", "-uroot"), title="set the administrator's login", stdin=Secret(sql))

    def question(self, instance: Instance) -> Run:
        """Log in over the network address, and read the server's version."""
        return Run(
            "umask 077; t=$(mktemp -p /run); trap 'rm -f $t' EXIT; cat > $t; "
            f"mysql --defaults-extra-file=$t --connect-timeout=10 -h {quote(instance.addr)} -P {self.port} -N -e 'select version()'",
            title="log in and ask", stdin=Secret(self.option_file(instance)), changes=False, sample=self.datastore.version,
        )  # fmt: skip

    @staticmethod
    def option_file(instance: Instance) -> str:
        """The administrator's login as a client reads it from a file: three lines."""
        return (
            f'[client]\nuser="{_option(instance.admin_user)}"\npassword="{_option(instance.admin_password.reveal())}"\n'
        )


_LOG_DIR = "/var/log/mysql"
_LOG = f"{_LOG_DIR}/error.log"

# The packages made an empty database in their own place; it moves as a whole, under a new name until it is complete.
_MOVE = """[ -d {data}/mysql ] || {{
  for p in $(cat /run/mysqld/*.pid 2>/dev/null); do kill "$p" 2>/dev/null; done
  {{ {gone}; }} || exit 1
  rm -rf {data}.new && mkdir -p {data}.new && cp -a /var/lib/mysql/. {data}.new/ &&
  chown -R mysql:mysql {data}.new && chmod 750 {data}.new && sync -f {data}.new && mv {data}.new {data}
}}"""


def _option(text: str) -> str:
    """A value as an option file takes it in double quotes. Source: MySQL manual, "Using Option Files"."""
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ('"', '\\"')):
        text = text.replace(plain, escaped)
    return text

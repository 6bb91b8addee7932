"""MySQL: MariaDB as Debian packages it, or MySQL's own server where the packages say so."""

from __future__ import annotations

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Run, Script, quote
from shared.errors import Failure
from shared.secrets import Secret


class MySQLManager(BaseManager):
    """root only over the local socket, no anonymous users, no test database."""

    port = 3306
    url_scheme = "mysql"
    min_ram_mb = 512
    config_template = "my.cnf.j2"

    @property
    def is_mariadb(self) -> bool:
        """Whether the packages are MariaDB's."""
        return not any(package.startswith("mysql-") for package in self.datastore.packages)

    @property
    def service_name(self) -> str:  # type: ignore[override]
        """The init system's name."""
        return "mariadb" if self.is_mariadb else "mysql"

    @property
    def process(self) -> str:  # type: ignore[override]
        """The server's process."""
        return "mariadbd" if self.is_mariadb else "mysqld"

    def configure(self, instance: Instance) -> Script:
        """Put the data directory on the volume, then write the configuration."""
        if instance.data_dir:
            data = quote(self.data_path(instance))
            yield Run(
                f"[ -d {data}/mysql ] || {{ pkill -x {self.process}; while pgrep -x {self.process} >/dev/null; do sleep 0.1; done; "
                f"rm -rf {data}.new; mkdir -p {data}.new && cp -a /var/lib/mysql/. {data}.new/ && chown -R mysql:mysql {data}.new "
                f"&& chmod 750 {data}.new && mv {data}.new {data}; }}",
                title="put the data on the volume", timeout=120,
            )  # fmt: skip
        # MariaDB reads this folder last, so that nothing of the packages' own overrides what is written here.
        folder = "mariadb.conf.d" if self.is_mariadb else "mysql.conf.d"
        written = yield Put(
            f"/etc/mysql/{folder}/zz-dtrove.cnf", self.render_config_file(instance), title="write my.cnf"
        )
        return written.changed

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        return f"{instance.data_dir}/mysql" if instance.data_dir else "/var/lib/mysql"

    def secure(self, instance: Instance) -> Script:
        """Make the administrator, drop everyone who could come in without a password."""
        user, password = _sql(instance.admin_user), _sql(instance.admin_password.reveal())
        host = "'%'"
        statements = [
            f"CREATE USER IF NOT EXISTS '{user}'@{host} IDENTIFIED BY '{password}'",
            f"ALTER USER '{user}'@{host} IDENTIFIED BY '{password}'",
            f"GRANT ALL PRIVILEGES ON *.* TO '{user}'@{host} WITH GRANT OPTION",
            "DROP DATABASE IF EXISTS test",
        ]
        if self.is_mariadb:
            statements += [
                "DELETE FROM mysql.global_priv WHERE User = ''",
                "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host NOT IN ('localhost')",
                "ALTER USER root@localhost IDENTIFIED VIA unix_socket",
            ]
        sql = ";\n".join([*statements, "FLUSH PRIVILEGES"]) + ";\n"
        # The general and the binary log would keep the statement; the session leaves both out.
        yield Run(("mysql", "--protocol=socket", "-uroot"), title="set the administrator's login",
                  stdin=Secret(f"SET SESSION sql_log_bin = 0;\n{sql}"))  # fmt: skip

    def verify(self, instance: Instance) -> Script:
        """Log in over the network address, and read the server's version."""
        client = f"[client]\nuser={instance.admin_user}\npassword={instance.admin_password.reveal()}\n"
        answered = yield Run(
            "umask 077; t=$(mktemp -p /run); trap 'rm -f $t' EXIT; cat > $t; "
            f"mysql --defaults-extra-file=$t --connect-timeout=10 -h {quote(instance.addr)} -P {self.port} -N -e 'select version()'",
            title="log in and ask", stdin=Secret(client), changes=False, sample=self.datastore.version,
        )  # fmt: skip
        if not answered.text.startswith(self.datastore.version):
            raise Failure(f"{instance.name} runs {answered.text}, not {self.datastore.version}",
                          what_to_do="mend the datastore's packages or version")  # fmt: skip

    def stop(self) -> Script:
        """Stop the server; the maintenance login of Debian's script may be gone, so its process is asked as well."""
        yield Run(scripts.service("stop", self.service_name), title=f"stop {self.service_name}", timeout=120)
        yield Run(scripts.gone(self.process), title=f"see that {self.service_name} is gone", timeout=60)


def _sql(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")

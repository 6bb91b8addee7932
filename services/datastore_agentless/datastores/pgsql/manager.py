"""PostgreSQL, the way Debian packages it: one cluster called main, managed with pg_ctlcluster."""

from __future__ import annotations

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Run, Script, quote
from shared.errors import Failure
from shared.secrets import Secret


class PostgresManager(BaseManager):
    """PostgreSQL with scram-sha-256 for everyone who comes over the network."""

    service_name = "postgresql"
    process = "postgres"
    port = 5432
    url_scheme = "postgresql"
    url_database = "postgres"
    min_ram_mb = 256
    config_template = "postgresql.conf.j2"

    @property
    def name(self) -> str:
        """The name it has had since the seed."""
        return "pgsql"

    @property
    def config_dir(self) -> str:
        """Where Debian keeps the configuration of cluster main."""
        return f"/etc/postgresql/{self.datastore.version}/main"

    def configure(self, instance: Instance) -> Script:
        """Make the cluster where there is none (data on the volume), then write its configuration."""
        version = quote(self.datastore.version)
        data = (
            f"{instance.data_dir}/pgsql" if instance.data_dir else f"/var/lib/postgresql/{self.datastore.version}/main"
        )
        yield Run(
            f"[ -f {quote(self.config_dir)}/postgresql.conf ] && [ -f {quote(data)}/PG_VERSION ] || {{ "
            f"pg_dropcluster {version} main 2>/dev/null; rm -rf {quote(data)}; "
            f"pg_createcluster -d {quote(data)} {version} main -- --auth-host=scram-sha-256 --auth-local=peer "
            "--data-checksums </dev/null; }",
            title="make the database cluster", timeout=120,
        )  # fmt: skip
        first = yield Put(f"{self.config_dir}/conf.d/dtrove.conf", self.render_config_file(instance),
                          owner="postgres:postgres", title="write postgresql.conf")  # fmt: skip
        second = yield Put(f"{self.config_dir}/pg_hba.conf", _HBA, mode=0o640, owner="postgres:postgres",
                           title="write pg_hba.conf")  # fmt: skip
        return first.changed or second.changed

    def start(self) -> Script:
        """Start the cluster, where it does not run."""
        yield Run(self._control("start"), title="start postgresql", ok_codes=(0, 2), timeout=120)
        yield from self.wait_for_port()

    def stop(self) -> Script:
        """Stop the cluster; believed when its process is gone."""
        yield Run(self._control("stop", "-m fast"), title="stop postgresql", ok_codes=(0, 2), timeout=120)
        yield Run(scripts.gone(self.process), title="see that postgresql is gone", timeout=60)

    def secure(self, instance: Instance) -> Script:
        """Set the administrator's password; the statement goes over standard input and into no log."""
        user = instance.admin_user.replace('"', '""')
        literal = instance.admin_user.replace("'", "''")
        password = instance.admin_password.reveal().replace("'", "''")
        sql = (
            "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET password_encryption = 'scram-sha-256';\n"
            f"SELECT 'CREATE ROLE \"{user}\"' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{literal}') \\gexec\n"
            f"ALTER ROLE \"{user}\" LOGIN SUPERUSER CREATEDB CREATEROLE REPLICATION PASSWORD '{password}';\n"
        )
        yield Run(("psql", "-qXAt", "-v", "ON_ERROR_STOP=1"), title="set the administrator's password",
                  stdin=Secret(sql), user="postgres")  # fmt: skip

    def verify(self, instance: Instance) -> Script:
        """Log in over the network address, and read the server's version."""
        pass_file = f"*:*:*:*:{instance.admin_password.reveal()}\n"
        answered = yield Run(
            "umask 077; t=$(mktemp -p /run); trap 'rm -f $t' EXIT; cat > $t; PGPASSFILE=$t PGCONNECT_TIMEOUT=10 psql -wqXAt "
            f"-h {quote(instance.addr)} -U {quote(instance.admin_user)} -d postgres -c 'show server_version'",
            title="log in and ask", stdin=Secret(pass_file), changes=False, sample=self.datastore.version,
        )  # fmt: skip
        if not answered.text.startswith(self.datastore.version):
            raise Failure(f"{instance.name} runs PostgreSQL {answered.text}, not {self.datastore.version}",
                          what_to_do="mend the datastore's packages or version")  # fmt: skip

    def _control(self, verb: str, options: str = "") -> str:
        version = quote(self.datastore.version)
        return (
            f"if [ -d /run/systemd/system ]; then systemctl {verb} postgresql@{version}-main; "
            f"else pg_ctlcluster {version} main {verb} {options} </dev/null >/tmp/dtrove-pg.log 2>&1; rc=$?; "
            "[ $rc -eq 0 ] || [ $rc -eq 2 ] || { cat /tmp/dtrove-pg.log >&2; exit $rc; }; exit $rc; fi"
        )


_HBA = """# Written by DTrove.
local   all             postgres                                peer
local   all             all                                     scram-sha-256
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
host    all             all             all                     scram-sha-256
host    replication     all             samenet                 scram-sha-256
"""

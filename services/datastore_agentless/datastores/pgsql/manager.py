"""PostgreSQL, the way Debian packages it: one cluster called main, managed with pg_ctlcluster."""

from __future__ import annotations

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.datastores.pgsql.accounts import PostgresAccounts
from services.datastore_agentless.datastores.pgsql.archiving import WriteAheadLog
from services.datastore_agentless.datastores.pgsql.counting import PostgresCounting
from services.datastore_agentless.datastores.pgsql.dumping import BaseBackup
from services.datastore_agentless.datastores.pgsql.exporting import PostgresExporting
from services.datastore_agentless.datastores.pgsql.hba import put_hba
from services.datastore_agentless.datastores.pgsql.importing import PostgresImporting
from services.datastore_agentless.datastores.pgsql.parameters import PostgresParameters
from services.datastore_agentless.datastores.pgsql.proving import PostgresProving
from services.datastore_agentless.datastores.pgsql.replaying import LogReplay
from services.datastore_agentless.datastores.pgsql.tallying import PostgresTallying
from services.datastore_agentless.datastores.pgsql.topology import StreamingReplication
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Run, Script, quote
from shared.secrets import Secret


class PostgresManager(BaseManager):
    """PostgreSQL with scram-sha-256 for everyone who comes over the network."""

    service_name = "postgresql"
    process = "postgres"
    port = 5432
    url_scheme = "postgresql"
    url_database = "postgres"
    min_ram_mb = 256
    # Source: "Message Formats", SSLRequest: answered with one letter, logged nowhere.
    hello = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
    config_template = "postgresql.conf.j2"
    topology_class = StreamingReplication
    parameters_class = PostgresParameters
    accounts_class = PostgresAccounts
    dumping_class = BaseBackup
    exporting_class = PostgresExporting
    importing_class = PostgresImporting
    proving_class = PostgresProving
    tallying_class = PostgresTallying
    archiving_class = WriteAheadLog
    replaying_class = LogReplay

    @property
    def name(self) -> str:
        """The name it has had since the seed."""
        return "pgsql"

    @property
    def config_dir(self) -> str:
        """Where Debian keeps the configuration of cluster main."""
        return f"/etc/postgresql/{self.datastore.version}/main"

    @property
    def config_path(self) -> str:
        """The file with DTrove's part of it."""
        return f"{self.config_dir}/conf.d/dtrove.conf"

    @property
    def counting(self) -> PostgresCounting:
        """How it is asked for its numbers."""
        return PostgresCounting()

    def configure(self, instance: Instance) -> Script:
        """Make the cluster where there is none (data on the volume), then write its configuration."""
        data = quote(self.data_path(instance))
        version, config = quote(self.datastore.version), quote(self.config_dir)
        yield Run(_MAKE.format(data=data, version=version, config=config, initdb=self.program("initdb")),
                  title="make the database cluster", timeout=120)  # fmt: skip
        first = yield from self.write_configuration(instance)
        second = yield put_hba(self)
        return first or second.changed

    def write_configuration(self, instance: Instance) -> Script:
        """Write postgresql.conf's own part."""
        written = yield Put(self.config_path, self.render_config_file(instance),
                            owner="postgres:postgres", title="write postgresql.conf")  # fmt: skip
        return written.changed

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        if instance.data_dir:
            return f"{instance.data_dir}/pgsql"
        return f"/var/lib/postgresql/{self.datastore.version}/main"

    def log_path(self, instance: Instance) -> str:
        """Where Debian's scripts have it written."""
        return f"/var/log/postgresql/postgresql-{self.datastore.version}-main.log"

    def start(self) -> Script:
        """Start the cluster, where it does not run."""
        yield Run(
            _START.format(version=quote(self.datastore.version), config=quote(self.config_dir), pg_ctl=self.program("pg_ctl")),
            title="start postgresql", timeout=120,
        )  # fmt: skip
        yield from self.wait_for_port()

    def stop(self) -> Script:
        """Stop the cluster; believed when its process is gone."""
        yield Run(
            _STOP.format(version=quote(self.datastore.version)), title="stop postgresql", ok_codes=(0, 2), timeout=120
        )
        yield Run(scripts.gone(self.process), title="see that postgresql is gone", timeout=60)

    def at_boot(self, starts: bool) -> Script:
        """Tell Debian's scripts, which ask for each cluster; the service is only who asks."""
        yield Put(f"{self.config_dir}/start.conf", "auto\n" if starts else "manual\n", owner="postgres:postgres",
                  title="start postgresql at boot" if starts else "leave postgresql alone at boot")  # fmt: skip

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
        yield Run((self.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title="set the administrator's password",
                  stdin=Secret(sql), user="postgres")  # fmt: skip

    def question(self, instance: Instance) -> Run:
        """Log in over the network address, and read the server's version."""
        password = instance.admin_password.reveal().replace("\\", "\\\\").replace(":", "\\:")
        return Run(
            "umask 077; t=$(mktemp -p /run); trap 'rm -f $t' EXIT; cat > $t; "
            f"PGPASSFILE=$t PGCONNECT_TIMEOUT=10 {self.program('psql')} -wqXAt "
            f"-h {quote(instance.addr)} -p {self.port} -U {quote(instance.admin_user)} -d postgres -c 'show server_version'",
            title="log in and ask", stdin=Secret(f"*:*:*:*:{password}\n"), changes=False, sample=self.datastore.version,
        )  # fmt: skip

    def program(self, name: str) -> str:
        """A client of the version's own; the one in /usr/bin is a wrapper in Perl that looks for it first."""
        return f"/usr/lib/postgresql/{quote(self.datastore.version)}/bin/{name}"


# Data that is there, on a volume that came back for instance, is taken over and never touched; new data gets its name when
# it is complete. Synced once at the end: initdb's own way, file by file, takes seconds on a slow disk.
_MAKE = """set -e
if [ ! -f {data}/PG_VERSION ]; then
  rm -rf {data}.new; mkdir -p "$(dirname {data})"; install -d -m 700 -o postgres -g postgres {data}.new
  cd /; su -s /bin/sh postgres -c "{initdb} -D {data}.new --auth-host=scram-sha-256 --auth-local=peer --data-checksums \\
    --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions" </dev/null
  sync -f {data}.new; [ ! -d {data} ] || rmdir {data}; mv {data}.new {data}
fi
# What an image has brought may be about other data: Debian's packages make a cluster of their own where nobody tells them not to.
if [ ! -f {config}/start.conf ] || ! grep -qs "^data_directory = '"{data}"'" {config}/postgresql.conf; then
  # Taken over, data is asked for the files that Debian keeps apart from it.
  for f in postgresql pg_hba pg_ident; do
    [ -f {data}/$f.conf ] || install -m 640 -o postgres -g postgres /usr/share/postgresql/{version}/$f.conf.sample {data}/$f.conf
  done
  rm -rf {config}; pg_createcluster -d {data} {version} main </dev/null
fi"""

# Without systemd by pg_ctl itself: pg_ctlcluster sleeps for two seconds before it believes that the server runs.
_START = """if [ -d /run/systemd/system ]; then
  systemctl start postgresql@{version}-main || {{ systemctl status --no-pager -n 20 postgresql@{version}-main >&2; exit 1; }}
else
  install -d -m 2775 -o postgres -g postgres /var/run/postgresql
  data=$(pg_conftool -s {version} main show data_directory) && cd / || exit 1
  pg_ctl() {{ su -s /bin/sh postgres -c "{pg_ctl} -D '$data' $1" </dev/null >/run/dtrove-pg.log 2>&1; }}
  pg_ctl status || pg_ctl "-s -w -t 60 -l /var/log/postgresql/postgresql-{version}-main.log -o '-c config_file={config}/postgresql.conf' start" || {{
    cat /run/dtrove-pg.log >&2; tail -n 15 /var/log/postgresql/postgresql-{version}-main.log >&2; exit 1
  }}
fi"""

_STOP = """if [ -d /run/systemd/system ]; then systemctl stop postgresql@{version}-main
else
  pg_ctlcluster {version} main stop -m fast </dev/null >/run/dtrove-pg.log 2>&1; rc=$?
  [ $rc -eq 0 ] || [ $rc -eq 2 ] || cat /run/dtrove-pg.log >&2
  exit $rc
fi"""

"""PostgreSQL's parameters, from `pg_settings`; a reload has it take what does not need a restart.

Source: PostgreSQL's documentation, "Setting Parameters", "pg_settings", "pg_file_settings" and "Administrator's Overview" of hot
standby, which says what a standby needs at least as much of as its primary has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from services.datastore_agentless.datastores.base.parameters import Catalogue, Definitions, Parameters, refusals, text
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from shared.contracts.parameters import BOOLEAN, ENUM, INTEGER, REAL, TEXT, ParameterDefinition

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

_KINDS = {"bool": BOOLEAN, "enum": ENUM, "integer": INTEGER, "real": REAL}
_BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SETTING = re.compile(r"^([a-z_]+) = (?:'((?:[^'\\]|''|\\.)*)'|(\S+))$", re.MULTILINE)
_OWN, _DEVELOPERS = "it is DTrove's own", "Developer Options"
_BY_ROLE = "it would end DTrove's own work as well: set it for a role or a database, with ALTER ROLE ... SET"
_FOR_DEVELOPERS = "it is for whoever develops PostgreSQL: it can lose data"


class PostgresParameters(Parameters):
    """By `pg_settings` and a reload."""

    manager: PostgresManager

    standby = frozenset(
        ("max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction")
    )  # fmt: skip
    # In units of the parameter: with less, a cluster could not do what it does.
    floors = {"max_connections": 20, "max_wal_senders": 10, "max_replication_slots": 10, "wal_keep_size": 256,
              "superuser_reserved_connections": 3, "max_worker_processes": 2}  # fmt: skip
    refused = refusals(
        (_OWN, "data_directory config_file hba_file ident_file external_pid_file listen_addresses port unix_socket_*"
               " bonjour* cluster_name hot_standby wal_level wal_sender_timeout wal_log_hints wal_receiver_create_temp_slot wal_receiver_timeout"
               " wal_receiver_status_interval wal_retrieve_retry_interval"
               " primary_* synchronous_standby_names recovery_* promote_trigger_file stats_temp_directory"),
        ("DTrove reads the log where it is", "log_destination logging_collector log_directory log_filename log_file_mode"
                                             " syslog_* event_source"),
        ("it decides who comes in, and how", "password_encryption ssl ssl_* krb_* db_user_namespace gss_*"
                                             " authentication_timeout"),
        ("it would run a program, or load one", "archive_* restore_command *_library *_libraries *_library_path *_command"
                                                " jit_provider dynamic_*_path extension_destdir"),
        ("a crash could lose what was acknowledged", "fsync full_page_writes synchronous_commit data_sync_retry"),
        ("it would write passwords into the log", "debug_print_* debug_pretty_print"),
        (_BY_ROLE, "statement_timeout lock_timeout idle_session_timeout default_transaction_read_only transaction_*"
                   " search_path row_security session_replication_role standard_conforming_strings"
                   " backslash_quote client_encoding default_table_access_method is_superuser role session_authorization"),
        ("PostgreSQL sets it when data are made", "lc_* server_encoding data_checksums"),
    )  # fmt: skip

    def catalogue(self, node: Instance) -> Script:
        """A row of `pg_settings` a line, and the version first."""
        told = yield self._ask(_CATALOGUE, title="read what parameters there are", changes=False, sample=_SAMPLE)
        engine, *rows = told.stdout.splitlines()
        found = (json.loads(row) for row in rows if row.strip())
        return Catalogue(engine, tuple(self.define(_definition(row)) for row in found if row["context"] != "internal"))

    def live(self, node: Instance, names: Iterable[str], sample: Mapping[str, str]) -> Script:
        """Ask it for these."""
        chosen = ", ".join(_literal(name) for name in names)
        told = yield self._ask(
            f"SELECT coalesce(json_object_agg(name, setting), '{{}}') FROM pg_settings WHERE name IN ({chosen});\n",
            title="see with what it runs", changes=False, sample=json.dumps(sample),
        )  # fmt: skip
        return {name: text(value) for name, value in json.loads(told.text).items()}

    def statements(self, goals: Mapping[str, str], known: Definitions) -> list[str]:
        """It reads its file."""
        return ["SELECT pg_reload_conf();"]

    def apply(self, node: Instance, goals: Mapping[str, str], known: Definitions) -> Script:
        """Read the file, after it was seen that PostgreSQL can: of one with a mistake it would take nothing."""
        wrong = yield self._ask(_WRONG, title="see that it can read its file", changes=False)
        if wrong.text:
            raise CommandFailed(f"PostgreSQL does not take it: {wrong.text}", code=1, stderr=wrong.text,
                                what_to_do="correct the value")  # fmt: skip
        yield self._ask(_RELOAD, title="read the configuration again")

    def written(self, text: str) -> dict[str, str]:
        """Lines `name = 'value'`."""
        unescaped = (
            (name, re.sub(r"''|\\(.)", lambda sign: sign[1] or "'", quoted), plain)
            for name, quoted, plain in _SETTING.findall(text)
        )
        return {name: plain or quoted for name, quoted, plain in unescaped}

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "") -> Run:
        return Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title=title, user="postgres",
                   stdin=sql, changes=changes, sample=sample)  # fmt: skip


def _definition(row: dict[str, Any]) -> ParameterDefinition:
    kind = _KINDS.get(row["vartype"], TEXT)
    unit = text(row["unit"])
    return ParameterDefinition(
        name=row["name"], kind=kind, unit=unit, minimum=text(row["min_val"]), maximum=text(row["max_val"]),
        suffixes=_suffixes(unit), values=("off", "on") if kind == BOOLEAN else tuple(row["enumvals"] or ()),
        default=text(row["usual"]), restart=row["context"] == "postmaster", description=row["short_desc"],
        refused=_FOR_DEVELOPERS if row["category"] == _DEVELOPERS else "",
    )  # fmt: skip


def _suffixes(unit: str) -> dict[str, float]:
    """What may stand behind a number, in the parameter's own unit, as in 8kB."""
    found = re.fullmatch(r"(\d*)([A-Za-z]+)", unit)
    family: Mapping[str, float] = _BYTES if found and found[2] in _BYTES else _SECONDS
    if found is None or found[2] not in family:
        return {}
    own = int(found[1] or 1) * family[found[2]]
    return {name: size / own for name, size in family.items()}


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


# What the packages' own file says is what one that is not set comes back to; what DTrove's says is not.
_CATALOGUE = """SELECT current_setting('server_version');
SELECT row_to_json(one) FROM (
  SELECT name, vartype, unit, context, category, min_val, max_val, enumvals, short_desc,
    CASE WHEN source IN ('client', 'session', 'database', 'user') OR sourcefile LIKE '%/conf.d/dtrove%'
      THEN boot_val ELSE reset_val END AS usual FROM pg_settings ORDER BY name
) AS one;
"""

# What waits for a restart is called wrong there as well.
_WRONG = """SELECT string_agg(coalesce(name, 'line ' || sourceline) || ': ' || error, '; ') FROM pg_file_settings
WHERE error IS NOT NULL AND sourcefile LIKE '%/conf.d/dtrove%'
  AND coalesce(name NOT IN (SELECT name FROM pg_settings WHERE context = 'postmaster'), true);
"""

# Told by the postmaster, a session reads it between two statements: once this one has, whoever logs in later has as well.
_RELOAD = "SELECT pg_conf_load_time() AS before \\gset\nSELECT pg_reload_conf() \\g /dev/null\n" + (
    "SELECT pg_sleep(0.02) WHERE pg_conf_load_time() <= :'before' \\g /dev/null\n" * 100
)

_SAMPLE = """15.0
{"name":"max_connections","vartype":"integer","unit":null,"context":"postmaster","category":"Connections","min_val":"1","max_val":"262143","enumvals":null,"short_desc":"Sets the maximum number of concurrent connections.","usual":"100"}
{"name":"work_mem","vartype":"integer","unit":"kB","context":"user","category":"Memory","min_val":"64","max_val":"2147483647","enumvals":null,"short_desc":"Sets the maximum memory to be used for query workspaces.","usual":"4096"}
{"name":"shared_buffers","vartype":"integer","unit":"8kB","context":"postmaster","category":"Memory","min_val":"16","max_val":"1073741823","enumvals":null,"short_desc":"Sets the number of shared memory buffers used by the server.","usual":"16384"}
{"name":"autovacuum","vartype":"bool","unit":null,"context":"sighup","category":"Autovacuum","min_val":null,"max_val":null,"enumvals":null,"short_desc":"Starts the autovacuum subprocess.","usual":"on"}
{"name":"wal_compression","vartype":"enum","unit":null,"context":"superuser","category":"Write-Ahead Log","min_val":null,"max_val":null,"enumvals":["pglz","lz4","on","off"],"short_desc":"Compresses full-page writes.","usual":"off"}
{"name":"archive_command","vartype":"string","unit":null,"context":"sighup","category":"Write-Ahead Log","min_val":null,"max_val":null,"enumvals":null,"short_desc":"Sets the shell command that will be called to archive a WAL file.","usual":""}
"""  # noqa: E501

"""MariaDB's parameters, from `information_schema.SYSTEM_VARIABLES`; SET GLOBAL has it take what does not need a restart.

Source: MariaDB's documentation, "Information Schema SYSTEM_VARIABLES Table", "Server System Variables" and "Configuring MariaDB
with Option Files".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.datastore_agentless.datastores.base.parameters import Catalogue, Definitions, Parameters, refusals, text
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from shared.contracts.parameters import (
    BOOLEAN,
    ENUM,
    FLAGS,
    INTEGER,
    REAL,
    SET,
    TEXT,
    ParameterDefinition,
    number,
)

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

_KINDS = {"BOOLEAN": BOOLEAN, "ENUM": ENUM, "SET": SET, "FLAGSET": FLAGS, "DOUBLE": REAL}
_SUFFIXES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SETTING = re.compile(r'^([a-z][a-z0-9_-]*)(?: = ("?)(.*?)\2)?$', re.MULTILINE)
_OWN = "it is DTrove's own"
# Options of the same name, of which the table says that there are none.
_OPTIONS_TOO = frozenset(("character_set_server", "collation_server", "default_storage_engine", "lc_time_names"))
# Ways to write to a disk with which a crash could lose what was acknowledged.
_UNSAFE_FLUSHES = frozenset(("nosync", "littlesync"))
# Modes in which DTrove's own statements would mean something else.
_STRANGE_MODES = frozenset(("ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL", "MYSQL323", "MYSQL40", "ANSI", "ANSI_QUOTES",
                            "NO_BACKSLASH_ESCAPES"))  # fmt: skip
# Read by a replica's threads as they start: they are not stopped for it.
_READ_BY_THREADS = re.compile(r"slave_(domain_)?parallel_\w+")


class MariaDbParameters(Parameters):
    """By the information schema and SET GLOBAL."""

    manager: MySQLManager

    floors = {"max_connections": 20, "open_files_limit": 1024}
    refused = refusals(
        (_OWN, "datadir basedir port extra_port bind_address socket pid_file tmpdir slave_load_tmpdir server_id report_* read_only"
               " super_read_only gtid_* log_bin* log_slave_updates relay_log* master_* rpl_semi_sync_* slave_net_timeout"
               " slave_skip_errors slave_run_triggers* slave_exec_mode slave_sql_verify_checksum slave_ddl_exec_mode slave_type_conversions replicate_*"
               " sql_slave_skip_counter"
               " skip_* binlog_format binlog_row_image binlog_checksum encrypt_* sync_master_info sync_relay_log*"
               " innodb_data_* innodb_log_group_home_dir innodb_undo_directory innodb_undo_tablespaces innodb_temp_data_*"
               " innodb_page_size innodb_tmpdir aria_log_dir_path wsrep_* lower_case_table_names"
               " character_sets_dir lc_messages_dir ignore_db_dirs innodb_buffer_pool_filename"),
        ("it would read or write files, or load code", "local_infile secure_file_priv init_* plugin_* general_log*"
                                                       " slow_query_log_file log_slow_query_file log_error ft_stopword_file"
                                                       " log_output log_tc* feedback_* server_audit_*"),
        ("it decides who comes in, and how", "ssl_* have_* tls_* old_passwords secure_auth strict_password_validation"
                                             " require_secure_transport automatic_sp_privileges old"
                                             " proxy_protocol_networks"),
        ("a crash could lose what was acknowledged, or part the replicas from their primary",
         "sync_binlog innodb_flush_log_at_trx_commit innodb_force_recovery innodb_read_only* innodb_doublewrite"
         " innodb_checksum_algorithm innodb_fast_shutdown innodb_support_xa"),
        ("it would change DTrove's own work as well: set it for the session or the user",
         "autocommit completion_type tx_* transaction_* max_statement_time sql_select_limit sql_safe_updates"
         " max_join_size max_session_mem_used max_user_connections"),
        ("it is for whoever develops MariaDB", "debug* *_debug *_debug_* innodb_evict_* innodb_*_now innodb_monitor_*"),
    )  # fmt: skip

    def catalogue(self, node: Instance) -> Script:
        """A variable a line as JSON, and the version first. What no option file can have is left out."""
        told = yield self._ask(_CATALOGUE, title="read what parameters there are", changes=False, sample=_SAMPLE)
        engine, *rows = told.stdout.splitlines()
        found = (json.loads(row) for row in rows if row.strip())
        return Catalogue(engine, tuple(
            self.define(_definition(row)) for row in sorted(found, key=lambda row: str(row["name"]))
            if (row["option"] or row["name"] in _OPTIONS_TOO) and row["scope"] != "SESSION ONLY"
        ))  # fmt: skip

    def live(self, node: Instance, names: Iterable[str], sample: Mapping[str, str]) -> Script:
        """Ask the same table."""
        chosen = ", ".join(_literal(name) for name in names)
        told = yield self._ask(
            "SELECT JSON_OBJECT('name', LOWER(VARIABLE_NAME), 'value', GLOBAL_VALUE) FROM information_schema.SYSTEM_VARIABLES "
            f"WHERE VARIABLE_NAME IN ({chosen});\n",
            title="see with what it runs", changes=False,
            sample="".join(json.dumps({"name": name, "value": value}) + "\n" for name, value in sample.items()),
        )  # fmt: skip
        rows = [json.loads(line) for line in told.stdout.splitlines() if line.strip()]
        return {row["name"]: text(row["value"]) for row in rows}

    def statements(self, goals: Mapping[str, str], known: Definitions) -> list[str]:
        """One for each."""
        return [f"SET GLOBAL {name} = {_value(known[name], goal)};" for name, goal in goals.items()]

    def apply(self, node: Instance, goals: Mapping[str, str], known: Definitions) -> Script:
        """The first that is refused ends it."""
        yield self._ask("\n".join([*self.statements(goals, known), ""]), title="have it take them while it runs")

    def written(self, text: str) -> dict[str, str]:
        """Lines `name = value`; names with hyphens are the same as with underscores."""
        return {name.replace("-", "_"): value for name, _, value in _SETTING.findall(text)}

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "") -> Run:
        return Run(("mysql", "--protocol=socket", "-uroot", "-N", "-B", "-r"), title=title, stdin=sql, changes=changes,
                   sample=sample)  # fmt: skip


def _definition(row: dict[str, Any]) -> ParameterDefinition:
    kind = _KINDS.get(row["type"], INTEGER if "INT" in row["type"] else TEXT)
    choices = text(row["choices"]).split(",") if kind in (BOOLEAN, ENUM, SET, FLAGS) else []
    if kind == ENUM and choices == [""]:
        kind, choices = TEXT, []
    found = ParameterDefinition(
        name=row["name"], kind=kind, minimum=text(row["least"]) if kind in (INTEGER, REAL) else "",
        maximum=text(row["most"]) if kind in (INTEGER, REAL) else "", suffixes=dict(_SUFFIXES) if kind == INTEGER else {},
        values=("OFF", "ON") if kind == BOOLEAN else tuple(choices), default=text(row["usual"]),
        restart=row["fixed"] == "YES" or _READ_BY_THREADS.fullmatch(row["name"]) is not None, description=text(row["words"]),
    )  # fmt: skip
    left_out = {"sql_mode": _STRANGE_MODES, "innodb_flush_method": _UNSAFE_FLUSHES}.get(found.name, frozenset())
    return replace(found, values=tuple(one for one in found.values if one not in left_out))


def _value(known: ParameterDefinition, goal: str) -> str:
    return format(number(known, goal), "f") if known.kind in (INTEGER, REAL) else _literal(goal)


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


# What the packages' own files say, and what the server works out by itself, is what one that is not set comes back to.
_CATALOGUE = """SELECT VERSION();
SELECT JSON_OBJECT('name', LOWER(VARIABLE_NAME), 'type', VARIABLE_TYPE, 'scope', VARIABLE_SCOPE,
  'usual', IF(GLOBAL_VALUE_ORIGIN = 'AUTO' OR (GLOBAL_VALUE_ORIGIN = 'CONFIG' AND GLOBAL_VALUE_PATH NOT LIKE '%dtrove%'),
    GLOBAL_VALUE, DEFAULT_VALUE), 'least', NUMERIC_MIN_VALUE, 'most', NUMERIC_MAX_VALUE, 'choices', ENUM_VALUE_LIST,
  'fixed', READ_ONLY, 'option', COMMAND_LINE_ARGUMENT, 'words', LEFT(VARIABLE_COMMENT, 200))
FROM information_schema.SYSTEM_VARIABLES;
"""

_SAMPLE = """10.11.0-MariaDB
{"name": "max_connections", "type": "BIGINT UNSIGNED", "scope": "GLOBAL", "usual": "151", "least": "10", "most": "100000", "choices": null, "fixed": "NO", "option": "REQUIRED", "words": "The number of simultaneous clients allowed"}
{"name": "innodb_buffer_pool_size", "type": "BIGINT UNSIGNED", "scope": "GLOBAL", "usual": "134217728", "least": "2097152", "most": "18446744073701163008", "choices": null, "fixed": "NO", "option": "REQUIRED", "words": "The size of the memory buffer InnoDB uses to cache data and indexes of its tables."}
{"name": "performance_schema", "type": "BOOLEAN", "scope": "GLOBAL", "usual": "OFF", "least": null, "most": null, "choices": "OFF,ON", "fixed": "YES", "option": "OPTIONAL", "words": "Enable the performance schema."}
{"name": "slow_query_log", "type": "BOOLEAN", "scope": "SESSION", "usual": "OFF", "least": null, "most": null, "choices": "OFF,ON", "fixed": "NO", "option": "OPTIONAL", "words": "Log slow queries to a table or log file."}
{"name": "secure_file_priv", "type": "VARCHAR", "scope": "GLOBAL", "usual": "", "least": null, "most": null, "choices": null, "fixed": "YES", "option": "REQUIRED", "words": "Limit LOAD DATA, SELECT ... OUTFILE, and LOAD_FILE() to files within specified directory"}
"""  # noqa: E501

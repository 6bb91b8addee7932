"""The statements about what users of MariaDB may do with a database, and how names stand in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.datastore_agentless.datastores.base.accounts import PROVEN
from shared.contracts.accounts import Privilege

_READ = ("SELECT", "SHOW VIEW")
_WRITE = (*_READ, "INSERT", "UPDATE", "DELETE", "EXECUTE", "LOCK TABLES", "CREATE TEMPORARY TABLES")
# All that can be granted on a database. Source: "GRANT", database privileges.
_ALL = (*_WRITE, "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT",
        "TRIGGER", "DELETE HISTORY")  # fmt: skip
_SETS = {Privilege.READ: _READ, Privilege.WRITE: _WRITE, Privilege.ALL: _ALL}
_HANDS = ("Insert_priv", "Update_priv", "Delete_priv")
_OWNS = ("Create_priv", "Drop_priv", "Alter_priv", "Index_priv")


def _each(columns: Sequence[str], value: str) -> str:
    return " AND ".join(f"{one} = '{value}'" for one in columns)


_LEVEL = (
    f"CASE WHEN {_each(('Select_priv', *_HANDS, *_OWNS), 'Y')} THEN 'all' "
    f"WHEN {_each(('Select_priv', *_HANDS), 'Y')} AND {_each(_OWNS, 'N')} THEN 'write' "
    f"WHEN Select_priv = 'Y' AND {_each((*_HANDS, *_OWNS), 'N')} THEN 'read' ELSE 'other' END"
)


def text(value: str) -> str:
    """A value as a string of SQL's."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL takes it."""
    return "`" + name.replace("`", "``") + "`"


def escaped(database: str) -> str:
    """A name where a pattern is taken, as in a grant: `_` and `%` stand for others there."""
    return re.sub(r"([\\_%])", r"\\\1", database)


def unescaped(pattern: str) -> str:
    """The name that such a pattern means."""
    return re.sub(r"\\(.)", r"\1", pattern)


def there(database: str, count: int) -> str:
    """Proves that the database is there, or with a count of 0 that it is not."""
    return (
        f"SELECT IF(COUNT(*) = {count}, '{PROVEN}', '') FROM information_schema.SCHEMATA "
        f"WHERE SCHEMA_NAME = BINARY {text(database)};\n"
    )


def refuse_unless_there(database: str) -> str:
    """MariaDB itself grants on databases that may come."""
    return _block(
        f"IF NOT EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = BINARY {text(database)}) THEN "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'there is no such database'; END IF;"
    )


def give(database: str, account: str, privilege: str) -> str:
    """This privilege, and no other."""
    wanted = _SETS[Privilege(privilege)]
    surplus = [one for one in _ALL if one not in wanted]
    where = f"ON {identifier(escaped(database))}.*"
    return (
        f"GRANT {', '.join(wanted)} {where} TO {account};\n"
        f"REVOKE {', '.join((*surplus, 'GRANT OPTION'))} {where} FROM {account};\n"
    )


def take(database: str, account: str) -> str:
    """No privilege; error 1141 says that there was none."""
    where = f"ON {identifier(escaped(database))}.* FROM {account}"
    return _block(
        "DECLARE CONTINUE HANDLER FOR 1141 BEGIN END; "
        f"REVOKE ALL PRIVILEGES {where}; REVOKE GRANT OPTION {where};"
    )  # fmt: skip


def revoke_all(database: str) -> str:
    """The same of everybody."""
    where = text(f" ON {identifier(escaped(database))}.* FROM ")
    return _block(
        "DECLARE CONTINUE HANDLER FOR 1141 BEGIN END; "
        "FOR one IN (SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) AS name FROM mysql.db "
        f"WHERE Db = {text(escaped(database))}) DO "
        f"EXECUTE IMMEDIATE CONCAT('REVOKE ALL PRIVILEGES', {where}, one.name); "
        f"EXECUTE IMMEDIATE CONCAT('REVOKE GRANT OPTION', {where}, one.name); END FOR;"
    )


def held(database: str, user: str, host: str, privilege: str) -> str:
    """Proves that a user has this privilege on a database; an empty one: none."""
    return (
        f"SELECT IF(IFNULL((SELECT {_LEVEL} FROM mysql.db WHERE Db = {text(escaped(database))} AND User = {text(user)} "
        f"AND Host = {text(host)}), '') = '{privilege}', '{PROVEN}', '');\n"
    )


def end_sessions(whose: str) -> str:
    """Cut off whoever this condition on the list of processes fits; errors 1094 and 1095 are sessions that ended by themselves."""
    return _block(
        "DECLARE CONTINUE HANDLER FOR 1094, 1095 BEGIN END; "
        f"FOR one IN (SELECT ID FROM information_schema.PROCESSLIST WHERE {whose} AND ID <> CONNECTION_ID()) DO "
        "EXECUTE IMMEDIATE CONCAT('KILL CONNECTION ', one.ID); END FOR;"
    )


def look(own_users: Sequence[str], own_databases: Sequence[str]) -> str:
    """A line of JSON for each database, user and grant but for the server's own, and one for root."""
    users = ", ".join(text(one) for one in ("", *own_users))
    mine = f"User NOT IN ({users}) AND User NOT LIKE 'dtrove\\_%'"
    databases = ", ".join(text(one) for one in own_databases)
    return (
        "SELECT JSON_OBJECT('database', SCHEMA_NAME, 'character_set', DEFAULT_CHARACTER_SET_NAME, 'collate', "
        f"DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) NOT IN ({databases});\n"
        "SELECT JSON_OBJECT('user', User, 'host', Host) FROM mysql.global_priv "
        f"WHERE NOT IFNULL(JSON_VALUE(Priv, '$.is_role'), 0) AND {mine};\n"
        f"SELECT JSON_OBJECT('grant', Db, 'to', User, 'at', Host, 'privilege', {_LEVEL}) FROM mysql.db WHERE {mine};\n"
        "SELECT JSON_OBJECT('root', COUNT(*)) FROM mysql.global_priv WHERE User = 'root' AND Host = '%';\n"
    )


def _block(statements: str) -> str:
    # No name holds a slash, so none ends the block.
    return f"DELIMITER //\nBEGIN NOT ATOMIC {statements} END//\nDELIMITER ;\n"

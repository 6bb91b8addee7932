"""The statements about the three roles of each PostgreSQL database; see accounts. Their arguments are SQL's own literals."""

from __future__ import annotations

_GROUP = "'dtrove_' || level || '_' || d.oid"
_LEVELS = "unnest(ARRAY['read', 'write', 'all']) AS level"


def groups(database: str) -> str:
    """Make them, and let them connect."""
    here = f"FROM pg_database d, {_LEVELS} WHERE d.datname = {database}"
    return (
        f"SELECT format('CREATE ROLE %I NOLOGIN', {_GROUP}) {here} "
        f"AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_GROUP}) \\gexec\n"
        f"SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', d.datname, {_GROUP}) {here} \\gexec\n"
    )


def owned(database: str) -> str:
    """Of a database that was made here: it belongs to those who may all, and PUBLIC may not connect."""
    return (
        f"SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', {database}) \\gexec\n"
        f"SELECT format('ALTER DATABASE %I OWNER TO %I', datname, 'dtrove_all_' || oid) FROM pg_database "
        f"WHERE datname = {database} \\gexec\n"
    )


def member(database: str, user: str, privilege: str, proven: str) -> str:
    """Have a user be in the role of this privilege alone, or with an empty one in none.

    Who acts as `all` would go on to in a session that is open: it is ended.
    """
    here = f"FROM pg_database d, {_LEVELS} WHERE d.datname = {database}"
    held = (
        f"FROM pg_database d, {_LEVELS}, pg_auth_members m, pg_roles g, pg_roles u WHERE d.datname = {database} "
        f"AND u.rolname = {user} AND g.rolname = {_GROUP} AND m.member = u.oid AND m.roleid = g.oid"
    )
    surplus = f"level <> {privilege}"
    return (
        f"SELECT format('ALTER ROLE %I IN DATABASE %I RESET role', u.rolname, d.datname) {held} "
        f"AND level = 'all' AND {surplus} \\gexec\n"
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {user} AND datname = {database} "
        f"AND EXISTS (SELECT {held} AND level = 'all' AND {surplus}) \\g /dev/null\n"
        f"SELECT format('REVOKE %I FROM %I', g.rolname, u.rolname) {held} AND {surplus} \\gexec\n"
        f"SELECT format('GRANT %I TO %I', {_GROUP}, {user}) {here} AND level = {privilege} \\gexec\n"
        f"SELECT format('ALTER ROLE %I IN DATABASE %I SET role TO %L', {user}, d.datname, {_GROUP}) {here} "
        f"AND level = 'all' AND level = {privilege} \\gexec\n"
        f"SELECT '{proven}' WHERE coalesce((SELECT string_agg(level, ',') {held}), '') = {privilege};\n"
    )


# Roles of databases that are gone. Where somebody has made something elsewhere as one of them, it stays.
SWEEP = """DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT rolname FROM pg_roles WHERE rolname ~ '^dtrove_(read|write|all)_[0-9]+$'
      AND NOT EXISTS (SELECT FROM pg_database WHERE oid::text = substring(rolname from '[0-9]+$')) LOOP
    BEGIN
      EXECUTE format('DROP ROLE %I', name);
    EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
    END;
  END LOOP;
END $$;
"""

# Run inside a database: what its roles may with what is there, and with what those make who may make something.
INSIDE = """DO $$ DECLARE
  mine oid := (SELECT oid FROM pg_database WHERE datname = current_database());
  readers text := 'dtrove_read_' || mine; writers text := 'dtrove_write_' || mine; owners text := 'dtrove_all_' || mine;
  place text; maker text;
BEGIN
  FOR place IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I', place, readers, writers);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I, %I', place, readers, writers);
    EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', place, readers);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', place, writers);
    EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO %I', place, writers);
    EXECUTE format('GRANT ALL ON SCHEMA %I TO %I', place, owners);
    EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO %I', place, owners);
    EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO %I', place, owners);
  END LOOP;
  FOR maker IN SELECT rolname FROM pg_roles WHERE rolname IN (owners, {admin})
      OR oid = (SELECT datdba FROM pg_database WHERE oid = mine) LOOP
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON SCHEMAS TO %I, %I', maker, readers, writers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON TABLES TO %I', maker, readers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON SEQUENCES TO %I', maker, readers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', maker, writers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON SEQUENCES TO %I', maker, writers);
    IF maker <> owners THEN
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON SCHEMAS TO %I', maker, owners);
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON TABLES TO %I', maker, owners);
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON SEQUENCES TO %I', maker, owners);
    END IF;
  END LOOP;
END $$;
"""

# Who owns a database may all with it, also where that was given by hand.
LOOK = """SELECT json_build_object(
  'databases', (SELECT coalesce(json_agg(json_build_object('name', datname, 'character_set', pg_encoding_to_char(encoding),
      'collate', datcollate)), '[]') FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'),
  'users', (SELECT coalesce(json_agg(json_build_object('name', u.rolname, 'grants', (
      SELECT coalesce(json_agg(json_build_object('database', held.datname, 'privilege', held.level)), '[]') FROM (
        SELECT d.datname, substring(g.rolname from '^dtrove_([a-z]+)_') AS level
          FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid AND g.rolname ~ '^dtrove_(read|write|all)_[0-9]+$'
          JOIN pg_database d ON d.oid::text = substring(g.rolname from '[0-9]+$') WHERE m.member = u.oid
        UNION SELECT datname, 'all' FROM pg_database WHERE datdba = u.oid) AS held))), '[]')
    FROM pg_roles u WHERE u.rolcanlogin AND u.rolname NOT IN ('postgres', {admin}) AND u.rolname !~ '^(dtrove|pg)_'),
  'root', (SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'postgres'));
"""

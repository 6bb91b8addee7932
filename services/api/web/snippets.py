"""Lines by which programs reach a cluster, ready to be copied. None has a password: each says where to put it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Snippet:
    """Lines for one language, under a heading."""

    id: str
    title: str
    lines: str


@dataclass(frozen=True)
class _Place:
    """Where a program goes: the address that leads to the primary, and the URL that names all nodes."""

    host: str
    port: int
    user: str
    database: str
    url: str


def of(cluster: Mapping[str, Any]) -> list[Snippet]:
    """The snippets for a cluster; none before it has an endpoint, or for an engine that nobody here knows."""
    endpoint, lines = cluster["endpoint"], _LINES.get(cluster["datastore"]["manager"])
    if endpoint is None or lines is None:
        return []
    leads = endpoint["address"] or endpoint["primary"]
    url = (endpoint["address"] or endpoint)["url"]
    parts = urlsplit(url)
    place = _Place(leads["host"], leads["port"], unquote(parts.netloc.rpartition("@")[0].partition(":")[0]),
                   parts.path.strip("/"), url)  # fmt: skip
    return [Snippet(f"snippet-{number}", title, text) for number, (title, text) in enumerate(lines(place), 1)]


def _pgsql(at: _Place) -> list[tuple[str, str]]:
    database = at.database or "postgres"
    return [
        ("psql", f'export PGPASSWORD="..."\npsql "{at.url}"'),
        ("Python (psycopg)", f'import os, psycopg\n\nwith psycopg.connect("{at.url}", password=os.environ["PGPASSWORD"]) as connection:\n'
                             '    print(connection.execute("select version()").fetchone())'),
        ("Node (pg)", 'import pg from "pg";\n\nconst client = new pg.Client({\n'
                      f'  host: "{at.host}", port: {at.port}, user: "{at.user}", database: "{database}",\n'
                      "  password: process.env.PGPASSWORD,\n});\nawait client.connect();"),
        ("JDBC", f"jdbc:postgresql://{at.host}:{at.port}/{database}?user={at.user}&targetServerType=primary"),
    ]  # fmt: skip


def _mysql(at: _Place) -> list[tuple[str, str]]:
    return [
        ("mysql", f"mysql --host={at.host} --port={at.port} --user={at.user} --password {at.database}".strip()),
        ("Python (PyMySQL)", "import os, pymysql\n\nconnection = pymysql.connect(\n"
                             f'    host="{at.host}", port={at.port}, user="{at.user}", password=os.environ["DB_PASSWORD"],\n)'),
        ("Node (mysql2)", 'import mysql from "mysql2/promise";\n\nconst connection = await mysql.createConnection({\n'
                          f'  host: "{at.host}", port: {at.port}, user: "{at.user}", password: process.env.DB_PASSWORD,\n}});'),
        ("JDBC", f"jdbc:mariadb://{at.host}:{at.port}/{at.database}?user={at.user}"),
    ]  # fmt: skip


def _redis(at: _Place) -> list[tuple[str, str]]:
    return [
        ("redis-cli", f'export REDISCLI_AUTH="..."\nredis-cli -h {at.host} -p {at.port} --user {at.user}'),
        ("Python (redis)", f'import os, redis\n\nclient = redis.Redis(host="{at.host}", port={at.port}, username="{at.user}",\n'
                           '                     password=os.environ["REDISCLI_AUTH"])'),
        ("Node (redis)", 'import { createClient } from "redis";\n\nconst client = await createClient({\n'
                         f'  socket: {{ host: "{at.host}", port: {at.port} }}, username: "{at.user}",\n'
                         "  password: process.env.REDISCLI_AUTH,\n}).connect();"),
        ("Java (Lettuce)", f'RedisURI.builder().withHost("{at.host}").withPort({at.port})\n'
                           f'    .withAuthentication("{at.user}", System.getenv("REDISCLI_AUTH")).build();'),
    ]  # fmt: skip


_LINES: dict[str, Callable[[_Place], list[tuple[str, str]]]] = {"pgsql": _pgsql, "mysql": _mysql, "redis": _redis}

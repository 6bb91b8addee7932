"""Asks a database one question from this machine, over its own port and with its own login."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit

import psycopg2
import pymysql

from shared.errors import Failure

TIMEOUT = 10


def ask(url: str) -> str:
    """Log in and ask; returns the answer. Raises Failure for a database that nobody here knows to ask."""
    parts = urlsplit(url)
    if parts.scheme not in _ASK:
        raise Failure(f"nothing here speaks {parts.scheme}", what_to_do="ask the database with its own client")
    return _ASK[parts.scheme](parts)


def _ask_postgresql(parts: SplitResult) -> str:
    connection = psycopg2.connect(parts.geturl(), connect_timeout=TIMEOUT)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select version()")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def _ask_mysql(parts: SplitResult) -> str:
    # Of several nodes the first takes writes.
    parts = parts._replace(netloc=parts.netloc.partition(",")[0])
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=unquote(parts.username or ""),
        password=unquote(parts.password or ""), connect_timeout=TIMEOUT, read_timeout=TIMEOUT,
    )  # fmt: skip
    try:
        with connection.cursor() as cursor:
            cursor.execute("select version()")
            found = cursor.fetchone()
            return str(found[0]) if found else ""
    finally:
        connection.close()


def _ask_redis(parts: SplitResult) -> str:
    with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=TIMEOUT) as line:
        login = f"AUTH {unquote(parts.username or 'default')} {unquote(parts.password or '')}\r\n"
        line.sendall(f"{login}PING\r\n".encode())
        text = ""
        while text.count("\r\n") < 2:
            piece = line.recv(1024)
            if not piece:
                raise Failure(f"redis hung up: {text.strip()}", what_to_do="look at its log")
            text += piece.decode()
    if text.startswith("-"):
        raise Failure(f"redis refused the login: {text.splitlines()[0]}", what_to_do="look at its log")
    return " ".join(text.split())


_ASK: dict[str, Callable[[SplitResult], str]] = {
    "postgresql": _ask_postgresql, "mysql": _ask_mysql, "redis": _ask_redis,
}  # fmt: skip

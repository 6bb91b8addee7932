"""What a user does with a database's URL: log in, write, read. One class a datastore, over the usual drivers."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pymysql


class LoginRefused(Exception):
    """The database did not let this login in."""


class Sql:
    """PostgreSQL and MySQL."""

    def __init__(
        self, url: str, password: str | None = None, user: str | None = None, timeout: int = 10, database: str = ""
    ) -> None:
        parts = urlsplit(url)
        login = {"host": parts.hostname, "port": parts.port, "user": user or parts.username,
                 "password": parts.password if password is None else password}  # fmt: skip
        try:
            if parts.scheme == "postgresql":
                self._connection: Any = psycopg2.connect(**login, dbname=database or "postgres", connect_timeout=timeout,
                                                         options="-c statement_timeout=15000", tcp_user_timeout=1000 * timeout)  # fmt: skip
            else:
                self._connection = pymysql.connect(
                    **login, database=database or None, connect_timeout=timeout, read_timeout=15
                )
        except (psycopg2.OperationalError, pymysql.MySQLError) as error:
            raise LoginRefused(str(error)) from error
        self._connection.autocommit = True if parts.scheme == "postgresql" else self._connection.autocommit

    def rows(self, statement: str) -> list[Any]:
        """Run a statement; its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def close(self) -> None:
        self._connection.close()


class Redis:
    """Redis, in its own protocol (RESP2): a command is an array of bulk strings."""

    def __init__(self, url: str, password: str | None = None, timeout: int = 10) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        self._file = self._socket.makefile("rwb")
        secret = parts.password if password is None else password
        if secret:
            answer = self.ask("AUTH", parts.username or "default", secret)
            if answer != "OK":
                raise LoginRefused(answer)

    def ask(self, *words: str) -> str:
        """Send one command; its answer as text, errors as they come."""
        self._file.write(f"*{len(words)}\r\n".encode())
        for word in words:
            self._file.write(f"${len(word.encode())}\r\n{word}\r\n".encode())
        self._file.flush()
        return self.answer()

    def answer(self) -> str:
        """The next answer, or the next part of an array."""
        head = self._file.readline().decode().strip()
        if not head:
            raise ConnectionResetError("the server has hung up")
        if head.startswith("$") and int(head[1:]) >= 0:
            return self._file.read(int(head[1:]) + 2)[:-2].decode()
        return head[1:] if head.startswith(("+", ":")) else head

    def close(self) -> None:
        self._socket.close()

"""Databases asked from outside, over the network, by clients that know nothing of DTrove."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psycopg2
import pymysql


def ask_postgres(addr: str, user: str, password: str, question: str = "show server_version") -> str:
    connection = psycopg2.connect(host=addr, user=user, password=password, dbname="postgres", connect_timeout=5)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(question)
        answer = str(cursor.fetchone()[0]) if cursor.description else ""
    connection.close()
    return answer


def ask_mysql(addr: str, user: str, password: str, question: str = "select version()") -> str:
    connection = pymysql.connect(host=addr, user=user, password=password, connect_timeout=5)
    with connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    connection.close()
    return str(row[0]) if row else ""


def ask_redis(addr: str, user: str, password: str, question: str = "INFO server") -> str:
    """Source: Redis's protocol specification, RESP2: arrays of bulk strings."""
    with socket.create_connection((addr, 6379), timeout=5) as line:
        words = [*([["AUTH", user, password]] if password else []), question.split()]
        for command in words:
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
            line.sendall(f"*{len(command)}\r\n{parts}".encode())
            answer = line.recv(65_536).decode()
            if answer.startswith("-"):
                raise PermissionError(answer)
    return answer


ASK: dict[str, Callable[..., str]] = {"pgsql": ask_postgres, "mysql": ask_mysql, "redis": ask_redis}
REFUSALS = (psycopg2.OperationalError, pymysql.err.OperationalError, PermissionError, OSError)

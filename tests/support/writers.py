"""A client that writes without a pause, wherever it is let, and remembers what was acknowledged and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote, urlsplit

import psycopg2
import pymysql

from tests.support.clients import LoginRefused, Redis, Sql

PAUSE = 0.01
LOST = (OSError, LoginRefused, psycopg2.Error, pymysql.MySQLError, ValueError)


@dataclass
class Writer:
    """Writes one number after the other at whichever of `hosts` takes writes, each of them one that nobody has written before.

    `acknowledged` has the moment of each that was taken.
    `url` is any node's, with the login in it.
    """

    url: str
    hosts: Sequence[str]
    acknowledged: dict[int, float] = field(default_factory=dict)
    first: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _line: Sql | Redis | None = None

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Write for the length of the block, and until one more was taken after it."""
        self.prepare()
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(60)

    @property
    def longest_gap(self) -> float:
        """The longest time between one acknowledged write and the next, in seconds."""
        moments = sorted(self.acknowledged.values())
        return max((after - before for before, after in pairwise(moments)), default=0.0)

    def prepare(self) -> None:
        """Make the place that is written to."""
        line = self._connected()
        if isinstance(line, Sql):
            line.rows(
                "create database if not exists many"
                if self.url.startswith("mysql")
                else "create schema if not exists many"
            )
            line.rows("create table if not exists many.numbers (number int primary key)")
            self.first = int(line.rows("select coalesce(max(number), -1) + 1 from many.numbers")[0][0])
            line.rows("commit")
        else:
            self.first = int(line.ask("INCRBY", "first", "1000000"))

    def missing(self) -> list[int]:
        """Numbers that were acknowledged, and are not there at whoever takes writes now."""
        line = self._connected()
        if isinstance(line, Redis):
            there = {number for number in self.acknowledged if line.ask("GET", f"number-{number}") == str(number)}
        else:
            there = {int(row[0]) for row in line.rows("select number from many.numbers")}
        return sorted(set(self.acknowledged) - there)

    def _run(self) -> None:
        number = self.first
        while not self._stop.is_set():
            try:
                self._write(number)
            except LOST:
                self._line = None
                self._stop.wait(PAUSE)
                continue
            self.acknowledged[number] = time.monotonic()
            number += 1
            self._stop.wait(PAUSE)

    def _write(self, number: int) -> None:
        line = self._line = self._line or self._connected()
        if isinstance(line, Redis):
            if (answer := line.ask("SET", f"number-{number}", str(number))) != "OK":
                raise OSError(answer)
            return
        try:
            line.rows(f"insert into many.numbers values ({number})")
            line.rows("commit")
        except (psycopg2.errors.UniqueViolation, pymysql.err.IntegrityError):
            # It was written before, and the word of that was lost.
            line.rows("rollback")

    def _connected(self) -> Sql | Redis:
        """A line to the node that takes writes. Raises one of LOST where there is none now."""
        for host in self.hosts:
            try:
                line = self._open(host)
            except LOST:
                continue
            if self._takes_writes(line):
                return line
            line.close()
        raise OSError("nobody takes writes")

    def _open(self, host: str) -> Sql | Redis:
        parts = urlsplit(self.url)
        login = f"{quote(parts.username or '')}:{quote(parts.password or '')}"
        url = f"{parts.scheme}://{login}@{host}:{parts.port}/"
        return Redis(url, parts.password, timeout=2) if parts.scheme == "redis" else Sql(url, parts.password, timeout=2)

    def _takes_writes(self, line: Sql | Redis) -> bool:
        if isinstance(line, Redis):
            return line.ask("SET", "probe", "1") == "OK"
        if self.url.startswith("mysql"):
            return bool(line.rows("select @@read_only")[0][0] == 0)
        return bool(line.rows("show transaction_read_only")[0][0] == "off")

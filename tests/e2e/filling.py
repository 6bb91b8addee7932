"""Data that look like somebody's, for each datastore, and what they come to: two databases with the same digest hold the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.support.clients import Redis, Sql

ROWS = 2000


class Filling(Protocol):
    """Data of one datastore, through a URL of its administrator."""

    def fill(self, url: str) -> None:
        """Make them."""

    def more(self, url: str) -> None:
        """Write what no backup of before has."""

    def digest(self, url: str) -> str:
        """What there is now."""


@dataclass(frozen=True)
class SqlFilling:
    """Statements that make a database, and queries whose answers tell whether it is whole."""

    made: tuple[str, ...]
    looks: tuple[str, ...]
    first: tuple[str, ...] = ()

    def fill(self, url: str) -> None:
        self._run(url, (*self.first, *self.made))

    def more(self, url: str) -> None:
        self._run(url, (*self.first, "INSERT INTO shop.orders (id, words) VALUES (1000000, 'later')"))

    def digest(self, url: str) -> str:
        client = Sql(url)
        found = [[tuple(str(value) for value in row) for row in client.rows(look)] for look in self.looks]
        client.close()
        return _sum(found)

    @staticmethod
    def _run(url: str, statements: Iterable[str]) -> None:
        client = Sql(url)
        for statement in statements:
            client.rows(statement)
        client.close()


class RedisFilling:
    """Keys of several types."""

    def fill(self, url: str) -> None:
        client = Redis(url)
        for number in range(ROWS):
            client.ask("SET", f"order:{number}", f"{number} 🍐 {'x' * (number % 97)}")
        client.ask("RPUSH", "queue", "a", "b", "", "ü")
        client.ask("HSET", "person", "name", "Zoë", "born", "-9223372036854775808")
        client.ask("ZADD", "ranks", "1.5", "one", "-inf", "last")
        client.ask("SET", "fleeting", "still here", "EX", "100000")
        client.close()

    def more(self, url: str) -> None:
        client = Redis(url)
        client.ask("SET", "later", "1")
        client.close()

    def digest(self, url: str) -> str:
        client = Redis(url)
        found = [client.ask("DBSIZE"), *(client.ask("GET", f"order:{number}") for number in range(0, ROWS, 7)),
                 client.ask("LLEN", "queue"), client.ask("HGET", "person", "name"), client.ask("ZSCORE", "ranks", "last"),
                 client.ask("GET", "fleeting"), str(int(client.ask("TTL", "fleeting").lstrip(":")) > 1000)]  # fmt: skip
        client.close()
        return _sum(found)


def _sum(found: Any) -> str:
    return hashlib.sha256(repr(found).encode()).hexdigest()


PGSQL = SqlFilling(
    made=(
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders (id bigint PRIMARY KEY, words text, picture bytea, at timestamptz DEFAULT now())",
        "INSERT INTO shop.orders (id, words, picture) SELECT n, repeat('Zoë 🍐 ', (n % 7)::int), decode(md5(n::text), 'hex') "
        f"FROM generate_series(1, {ROWS}) AS n",
        "INSERT INTO shop.orders (id, words) VALUES (9223372036854775807, NULL), (-9223372036854775808, '')",
        "CREATE TABLE shop.nothing (id int)",
        "CREATE VIEW shop.named AS SELECT id FROM shop.orders WHERE words <> ''",
        "CREATE FUNCTION shop.twice(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT n * 2'",
        "CREATE INDEX orders_words ON shop.orders (words)",
    ),
    looks=(
        "SELECT count(*), min(id), max(id), md5(string_agg(id || coalesce(words, '-') || coalesce(encode(picture, 'hex'), '-'), ',' "
        "ORDER BY id)) FROM shop.orders",
        "SELECT count(*) FROM shop.nothing", "SELECT count(*) FROM shop.named", "SELECT shop.twice(21)",
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1",
    ),
)  # fmt: skip

MYSQL = SqlFilling(
    first=("SET autocommit = 1",),
    made=(

        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "USE shop",
        "CREATE TABLE shop.orders (id bigint PRIMARY KEY, words text, picture longblob, KEY (words(20))) CHARACTER SET utf8mb4",
        f"INSERT INTO shop.orders SELECT seq, repeat('Zoë 🍐 ', seq % 7), unhex(md5(seq)) FROM shop_seq_1_to_{ROWS}"
        .replace("shop_seq", "seq"),
        "INSERT INTO shop.orders VALUES (9223372036854775807, NULL, NULL), (-9223372036854775808, '', NULL)",
        "CREATE TABLE shop.nothing (id int)",
        "CREATE VIEW shop.named AS SELECT id FROM shop.orders WHERE words <> ''",
        "CREATE FUNCTION shop.twice(n bigint) RETURNS bigint DETERMINISTIC RETURN n * 2",
        "CREATE TRIGGER shop.stamped BEFORE INSERT ON shop.nothing FOR EACH ROW SET NEW.id = coalesce(NEW.id, 0)",
    ),
    looks=(
        "SELECT count(*), min(id), max(id), bit_xor(crc32(concat_ws('|', id, words, hex(picture)))) FROM shop.orders",
        "SELECT count(*) FROM shop.nothing", "SELECT count(*) FROM shop.named", "SELECT shop.twice(21)",
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'shop'",
    ),
)  # fmt: skip

FILLINGS: dict[str, Filling] = {"pgsql": PGSQL, "mysql": MYSQL, "redis": RedisFilling()}

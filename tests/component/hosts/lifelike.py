"""Data as people have them, for each engine, and all of them as one text that two servers can be compared by."""

from __future__ import annotations

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.hosts.base import Run, Script, quote
from tests.component.hosts.real import RealHost

# Who can log in besides DTrove, and with what.
USER, WORDS = "ann", "ann's pass"

_PGSQL = f"""
CREATE ROLE {USER} LOGIN PASSWORD 'ann''s pass';
CREATE DATABASE shop;
\\c shop
CREATE TYPE mood AS ENUM ('sad', '😀');
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, mood mood, seen timestamptz, photo bytea, facts jsonb);
INSERT INTO customers SELECT n, 'Zoë 😀 ' || n, '😀', '2026-11-30 12:00:00+00'::timestamptz + n * interval '1 min',
  decode(repeat(md5(n::text), 8), 'hex'), jsonb_build_object('n', n) FROM generate_series(1, 40000) AS n;
INSERT INTO customers VALUES (9223372036854775807, E'tab\\t''quote''\\\\', NULL, 'infinity', '\\x00ff00', 'null'),
  (-9223372036854775808, '', 'sad', NULL, '', '{{}}');
CREATE TABLE nobody (id serial PRIMARY KEY, at date);
CREATE TABLE changes (id bigserial PRIMARY KEY, what text);
CREATE VIEW happy AS SELECT id, name FROM customers WHERE mood = '😀';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO changes (what) VALUES (NEW.name); RETURN NEW; END $$;
CREATE TRIGGER noted AFTER INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION note();
UPDATE customers SET mood = 'sad' WHERE id < 10;
GRANT SELECT ON customers TO {USER};
"""
_MYSQL = f"""
CREATE USER '{USER}'@'%' IDENTIFIED BY 'ann''s pass';
CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(100) NOT NULL, mood enum('sad', '😀'), seen datetime(6), photo longblob);
INSERT INTO customers SELECT seq, CONCAT('Zoë 😀 ', seq), '😀', '2026-11-30 12:00:00' + INTERVAL seq MINUTE,
  UNHEX(REPEAT(MD5(seq), 8)) FROM seq_1_to_40000;
INSERT INTO customers VALUES (9223372036854775807, 'tab\\t''quote''\\\\', NULL, NULL, X'00ff00'), (-9223372036854775808, '', 'sad', NULL, '');
CREATE TABLE old (id int PRIMARY KEY, words text) ENGINE=MyISAM; INSERT INTO old VALUES (1, 'as it was');
CREATE TABLE nobody (id int PRIMARY KEY AUTO_INCREMENT, at date);
CREATE TABLE changes (id bigint unsigned PRIMARY KEY AUTO_INCREMENT, what text);
CREATE VIEW happy AS SELECT id, name FROM customers WHERE mood = '😀';
CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2;
CREATE TRIGGER noted AFTER UPDATE ON customers FOR EACH ROW INSERT INTO changes (what) VALUES (NEW.name);
UPDATE customers SET mood = 'sad' WHERE id BETWEEN 1 AND 9;
GRANT SELECT ON shop.customers TO '{USER}'@'%';
"""
# Replicas run it as well.
_SEVEN = "redis.register_function{function_name = 'seven', callback = function() return 7 end, flags = {'no-writes'}}"
# Each command as its words, since some of them have spaces in them.
_REDIS = [
    ["ACL", "SETUSER", USER, "on", f">{WORDS}", "~shop:*", "+@read", "+ping"], ["ACL", "SAVE"],
    ["EVAL", "for i = 1, 20000 do redis.call('SET', 'shop:' .. i, redis.sha1hex(i) .. redis.sha1hex(-i)) end", "0"],
    ["SET", "shop:name", "Zoë 😀 \t'quote'\\"], ["SETBIT", "shop:blob", "8000000", "1"],
    ["SET", "shop:edge", "9223372036854775807"], ["SET", "shop:other edge", "-9223372036854775808"],
    ["HSET", "shop:hash", "a field", "1", "b", "😀"], ["RPUSH", "shop:list", "a", "", "c"], ["SADD", "shop:set", "1", "2", "3"],
    ["ZADD", "shop:sorted", "1.5", "x", "inf", "y"], ["XADD", "shop:stream", "1-1", "what", "it was"],
    ["SET", "shop:mortal", "x", "EX", "86400"], ["SELECT", "3"], ["SET", "elsewhere", "there"], ["SELECT", "0"],
    ["FUNCTION", "LOAD", "REPLACE", f"#!lua name=shop\n{_SEVEN}"],
]  # fmt: skip
_REDIS_ALL = [
    ["DBSIZE"], ["GET", "shop:1"], ["GET", "shop:20000"], ["GET", "shop:name"], ["BITCOUNT", "shop:blob"], ["STRLEN", "shop:blob"],
    ["GET", "shop:edge"], ["GET", "shop:other edge"], ["HGETALL", "shop:hash"], ["LRANGE", "shop:list", "0", "-1"],
    ["SMEMBERS", "shop:set"], ["ZRANGE", "shop:sorted", "0", "-1", "WITHSCORES"], ["XRANGE", "shop:stream", "-", "+"],
    ["EXPIRETIME", "shop:mortal"], ["FCALL", "seven", "0"], ["SELECT", "3"], ["GET", "elsewhere"],
]  # fmt: skip
# What differs from run to run is no data.
_DUMPS = {
    "pgsql": "cd /; su postgres -c 'pg_dump -C shop' | grep -v '^.\\(un\\)\\?restrict '",
    "mysql": "mariadb-dump --databases shop --routines --triggers --hex-blob --skip-dump-date",
}


def load(host: RealHost, manager: BaseManager) -> None:
    """Fill a server."""
    host.driver().execute(_given(host, manager))


def all_of(host: RealHost, manager: BaseManager) -> str:
    """What a server has, as it tells it itself."""
    if manager.name in _DUMPS:
        line = f"set -o pipefail; {{ {_DUMPS[manager.name]}; }} > /dev/shm/all && md5sum < /dev/shm/all && wc -c < /dev/shm/all"
        told = host.sh(f"bash -c {quote(line)}")
        assert int(told.split()[-1]) > 1_000_000, told
        return told
    return str(host.driver().execute(_told(host, manager)))


def _given(host: RealHost, manager: BaseManager) -> Script:
    if manager.name == "redis":
        answer = yield _redis(host, manager, _REDIS)
        assert "ERR" not in answer.stdout, answer.stdout
    elif manager.name == "pgsql":
        yield Run(("psql", "-qX", "-v", "ON_ERROR_STOP=1"), stdin=_PGSQL, user="postgres", title="load", timeout=120)
    else:
        yield Run(("mysql", "--default-character-set=utf8mb4"), stdin=_MYSQL, title="load", timeout=120)


def _told(host: RealHost, manager: BaseManager) -> Script:
    answer = yield _redis(host, manager, _REDIS_ALL)
    assert "ERR" not in answer.stdout, answer.stdout
    return answer.stdout


def _redis(host: RealHost, manager: BaseManager, commands: list[list[str]]) -> Run:
    words = [" ".join(manager.argument(word) for word in command) for command in commands]  # type: ignore[attr-defined]
    asked = manager.asked(host.node, *words, title="ask")  # type: ignore[attr-defined]
    assert isinstance(asked, Run)
    return asked

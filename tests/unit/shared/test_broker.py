"""A broker's URI, and what TLS wants of it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from shared.broker import read_uri, read_uris
from shared.options import _warn_plain_broker as warn_broker
from shared.options import _warn_plain_database as warn_database
from shared.options import parse_amqp_uri, parse_database_url


@pytest.mark.parametrize("uri", ["amqp://u:p@h:5672/v", "pyamqp://u:p@h//", "amqp://h"])
def test_without_tls_it_is_taken_as_it_stands(uri: str) -> None:
    broker = read_uri(uri)
    assert (broker.uri, broker.host, broker.tls) == (uri, "h", None)
    assert broker.port == 5672


def test_the_nodes_of_a_cluster_stand_one_after_the_other() -> None:
    nodes = read_uris("amqp://u:p@a:1/;amqps://u:p@b/ ; amqp://u:p@c")
    assert [(node.host, node.port, node.verified) for node in nodes] == [
        ("a", 1, False), ("b", 5671, True), ("c", 5672, False),
    ]  # fmt: skip
    assert "clear" in warn_broker("amqps://a/;amqp://rabbit.example/")
    assert warn_broker("amqps://a/;amqps://b/;amqp://localhost/") == ""
    with pytest.raises(ValueError, match="no broker's URI"):
        parse_amqp_uri("amqp://a;")


def test_with_tls_certificate_and_name_are_checked_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    plain = read_uri("amqps://u:p@rabbit.example/v")
    assert plain.port == 5671
    assert plain.verified
    assert plain.tls is not None
    assert plain.tls["server_hostname"] == "rabbit.example"
    assert plain.tls["cert_reqs"] == ssl.CERT_REQUIRED
    (tmp_path / "ca.pem").touch()
    named = read_uri(f"amqps://u:p@10.0.0.1:1/v?cacertfile={tmp_path}/ca.pem&server_name_indication=rabbit.example")
    assert named.uri == "amqps://u:p@10.0.0.1:1/v"
    assert named.tls is not None
    assert named.tls["ca_certs"] == f"{tmp_path}/ca.pem"
    assert named.tls["server_hostname"] == "rabbit.example"
    careless = read_uri("amqps://h/?verify=verify_none")
    assert not careless.verified
    assert careless.tls is not None
    assert "server_hostname" not in careless.tls


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://h", "no broker's URI"),
        ("amqps://", "no broker's URI"),
        ("amqps://h/?heartbeat=5", "unknown words"),
        ("amqp://h/?cacertfile=/x", "amqps://"),
        ("amqps://h/?cacertfile=/nowhere/ca.pem", "cannot be read"),
        ("amqps://h/?certfile=/x", "go together"),
        ("amqps://h/?verify=maybe", "verify_peer or verify_none"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(uri: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_amqp_uri(uri)


def test_an_unknown_sslmode_is_refused() -> None:
    with pytest.raises(ValueError, match="sslmode 'on'"):
        parse_database_url("postgresql://u@h/d?sslmode=on")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///x", ""),
        ("postgresql://u:p@127.0.0.1/d", ""),
        ("postgresql:///d?host=/run/postgresql", ""),
        ("postgresql://u:p@db.example/d", "in clear"),
        ("postgresql://u:p@db.example/d?sslmode=prefer", "in clear"),
        ("postgresql://u:p@db.example/d?sslmode=require", "pass for the database"),
        ("postgresql://u:p@db.example/d?sslmode=verify-full", ""),
    ],
)
def test_a_database_that_is_spoken_to_in_clear_is_warned_of(url: str, words: str) -> None:
    warning = warn_database(url)
    assert (words in warning) if words else warning == ""


def test_a_broker_that_is_spoken_to_in_clear_is_warned_of() -> None:
    assert warn_broker("amqp://u:p@127.0.0.1/") == ""
    assert "in clear" in warn_broker("amqp://u:p@rabbit.example/")
    assert "can pass for the broker" in warn_broker("amqps://u:p@rabbit.example/?verify=verify_none")
    assert warn_broker("amqps://u:p@rabbit.example/") == ""

"""What the values of common options may be."""

from __future__ import annotations

import pytest

from shared import options


@pytest.mark.parametrize(
    "url",
    ["sqlite:///var/a.sqlite", "postgresql://u:p@h/n", "postgres://u:p@h/n", "postgresql+psycopg2://u:p@h:5432/n"],
)
def test_urls_of_databases_with_a_driver_here_are_taken(url: str) -> None:
    assert options.parse_database_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://u:p@h/n", "is not supported"),
        ("postgresql+psycopg://u:p@h/n", "is not supported"),
        ("sqlite://", "names no database"),
        ("sqlite:///:memory:", "names no database"),
        ("postgresql://u:p@h", "names no database"),
    ],
)
def test_other_urls_are_refused_with_a_sentence(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        options.parse_database_url(url)


def test_no_refusal_repeats_a_password() -> None:
    for parse, raw in ((options.parse_database_url, "mysql://u:hush@h/n"), (options.parse_amqp_uri, "http://u:hush@h")):
        with pytest.raises(ValueError) as caught:
            parse(raw)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("address", ["0.0.0.0", "host:", "host:0", "host:99999", "host:http"])
def test_an_address_needs_a_port(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        options.parse_address(address)


def test_sqlite_is_unwise_only_beside_a_broker_on_another_machine() -> None:
    chosen = {"X_DATABASE_URL": "sqlite:///a", "AMQP_URI": "amqp://u:p@127.0.0.1:5672"}
    assert list(options.sqlite_is_unwise("X_DATABASE_URL", chosen)) == []
    ((name, _),) = options.sqlite_is_unwise("X_DATABASE_URL", {**chosen, "AMQP_URI": "amqp://u:p@rabbitmq:5672"})
    assert name == "X_DATABASE_URL"
    nodes = "amqp://u:p@127.0.0.1:1;amqp://u:p@rabbitmq:5672"
    assert len(list(options.sqlite_is_unwise("X_DATABASE_URL", {**chosen, "AMQP_URI": nodes}))) == 1

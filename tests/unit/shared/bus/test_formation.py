"""What a service does at its first start when nodes of its broker are missing."""

from __future__ import annotations

import logging

import pytest

from shared.broker import Broker, read_uris
from shared.bus import formation

NODES = read_uris("amqp://a;amqp://b;amqp://c")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The hosts that do not answer, which a test may change."""
    hosts: set[str] = set()
    monkeypatch.setattr(formation, "answers", lambda node: node.host not in hosts)
    monkeypatch.setattr(formation, "have_queues", lambda _nodes, _services: False)
    return hosts


def test_it_waits_until_all_nodes_answer_and_says_for_which(
    silent: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    silent |= {"b", "c"}
    monkeypatch.setattr(formation.time, "sleep", lambda _seconds: silent.pop())
    with caplog.at_level(logging.WARNING):
        formation.wait_for_nodes(NODES, ["api"])
    assert not silent
    assert "no answer from b:5672, c:5672" in caplog.text


def test_it_goes_on_without_a_node_that_never_comes_and_says_what_to_do(
    silent: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    silent.add("c")
    monkeypatch.setattr(formation, "PATIENCE_SECONDS", 0.0)
    with caplog.at_level(logging.WARNING):
        formation.wait_for_nodes(NODES, ["api"])
    assert "no part on c:5672: once they are there, give them one with `rabbitmq-queues grow NODE all`" in caplog.text


def test_it_ends_at_once_when_it_is_told_to_end(silent: set[str]) -> None:
    silent.add("c")
    formation.wait_for_nodes(NODES, ["api"], lambda: True)


def test_neither_one_node_nor_queues_that_are_there_are_waited_for(
    silent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_node: Broker) -> bool:
        raise AssertionError("was asked")

    monkeypatch.setattr(formation, "answers", refused)
    formation.wait_for_nodes(NODES[:1], ["api"])
    monkeypatch.setattr(formation, "have_queues", lambda _nodes, _services: True)
    formation.wait_for_nodes(NODES, ["api"])

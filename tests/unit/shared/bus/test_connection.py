"""Which node of a broker a line is opened to."""

from __future__ import annotations

from collections import Counter

from shared.broker import read_uris
from shared.bus.connection import Nodes


def test_each_round_tries_every_node_once_and_begins_one_further_on() -> None:
    nodes = Nodes(read_uris("amqp://a;amqp://b;amqp://c"))
    rounds = ["".join(node.host for node in nodes.round()) for _ in range(3)]
    assert sorted(rounds) == ["abc", "bca", "cab"]


def test_processes_do_not_all_begin_at_the_same_node() -> None:
    brokers = read_uris("amqp://a;amqp://b")
    begun = Counter(Nodes(brokers).round()[0].host for _ in range(200))
    assert set(begun) == {"a", "b"}

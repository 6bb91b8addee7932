"""How much one client may ask."""

from __future__ import annotations

import pytest

from services.api.domain.limits import Buckets, Slots, client_address

PROXIES = ("10.0.0.1", "10.0.0.2")


def test_a_client_may_ask_a_burst_at_once_and_then_at_its_rate() -> None:
    buckets = Buckets(rate=2.0, burst=3.0)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0.0] * 3
    assert buckets.take("a", 0.0) == 0.5
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("a", 0.5) == 0.5
    assert [buckets.take("a", 1000.0) for _ in range(4)] == [0.0] * 3 + [0.5]


def test_one_client_takes_nothing_from_another() -> None:
    buckets = Buckets(rate=1.0, burst=1.0)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0.0
    assert buckets.take("b", 0.0) == 0.0


def test_asking_in_vain_costs_nothing() -> None:
    buckets = Buckets(rate=1.0, burst=1.0)
    buckets.take("a", 0.0)
    assert [buckets.take("a", 0.0) for _ in range(5)] == [1.0] * 5
    assert buckets.take("a", 1.0) == 0.0


def test_a_rate_of_zero_is_no_limit() -> None:
    assert not any(Buckets(rate=0.0).take("a", 0.0) for _ in range(10_000))


def test_a_rate_below_one_still_lets_one_in() -> None:
    buckets = Buckets(rate=0.1)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) == pytest.approx(10.0)


def test_clients_are_remembered_in_bounded_number_and_those_that_asked_last_stay() -> None:
    buckets = Buckets(rate=1.0, burst=1.0, kept=3)
    for client in ("a", "b", "c", "a", "d"):
        buckets.take(client, 0.0)
    assert buckets.take("a", 0.0) > 0.0
    assert buckets.take("b", 0.0) == 0.0
    assert len(buckets._left) == 3


def test_slots_are_given_back() -> None:
    slots = Slots(2)
    assert [slots.take("a") for _ in range(3)] == [True, True, False]
    assert slots.take("b")
    slots.leave("a")
    assert slots.take("a")
    for client in ("a", "a", "b"):
        slots.leave(client)
    assert not slots._taken


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "1.1.1.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "1.1.1.1,  2001:DB8::1", "2001:db8::1"),
        ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, ", "10.0.0.1"),
    ],
)
def test_only_a_proxy_is_believed_and_only_for_what_it_saw_itself(remote: str, forwarded: str, address: str) -> None:
    assert client_address(remote, forwarded, PROXIES) == address

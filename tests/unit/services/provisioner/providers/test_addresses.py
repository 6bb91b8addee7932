"""Addresses of local hosts: fixed, free, and never the gateway's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.local import reserved
from services.provisioner.providers.local.addresses import mac, nobodys, pick
from services.provisioner.providers.local.leading import found
from services.provisioner.providers.local.reserved import Reserved

SUBNET = IPv4Network("10.40.77.0/24")


@given(instance_id=st.uuids().map(str), taken=st.sets(st.integers(2, 253), max_size=251))
def test_an_address_is_in_the_network_and_nobodys(instance_id: str, taken: set[int]) -> None:
    addresses = {f"10.40.77.{number}" for number in taken}
    chosen = pick(SUBNET, addresses, instance_id)
    assert IPv4Address(chosen) in SUBNET
    assert chosen not in addresses | {"10.40.77.0", "10.40.77.1", "10.40.77.254", "10.40.77.255"}
    assert nobodys(chosen) == "10.40.77.254"


def test_an_instance_that_is_made_again_has_its_address_again_while_it_is_free() -> None:
    assert pick(SUBNET, set(), "one") == pick(SUBNET, set(), "one")


def test_a_full_network_is_said_with_what_to_do() -> None:
    with pytest.raises(ProviderError, match="all 252 addresses") as refused:
        pick(SUBNET, {str(host) for host in SUBNET.hosts()}, "one")
    assert refused.value.what_to_do


@given(one=st.ip_addresses(v=4).map(str), other=st.ip_addresses(v=4).map(str))
def test_each_address_has_a_mac_of_its_own_that_no_maker_of_cards_gives(one: str, other: str) -> None:
    assert (mac(one) == mac(other)) == (one == other)
    # Source: IEEE 802, the two low bits of the first byte: locally administered, and of one card alone.
    assert int(mac(one)[:2], 16) & 0b11 == 0b10


def test_an_address_that_is_set_aside_is_found_by_its_cluster_until_it_is_dropped(tmp_path: Path) -> None:
    one, other = Reserved("c-1", "10.40.77.9"), Reserved("c-2", "10.40.77.10", "i-1", "yesterday", 3)
    for reservation in (one, other):
        reserved.put(tmp_path, reservation)
    assert reserved.every(tmp_path) == [one, other]
    assert [(thing.kind, thing.id, thing.instance_id) for thing in found(tmp_path, ())] == [
        ("address", "10.40.77.9", ""), ("address", "10.40.77.10", "i-1"),
    ]  # fmt: skip
    reserved.put(tmp_path, replace(one, holder="i-2"))
    reserved.drop(tmp_path, "c-2")
    reserved.drop(tmp_path, "c-2")
    assert (reserved.find(tmp_path, "c-1"), reserved.find(tmp_path, "c-2")) == (replace(one, holder="i-2"), None)
    assert reserved.drop_all(tmp_path) == ["address 10.40.77.9"]
    assert reserved.every(tmp_path) == []

from __future__ import annotations

import pytest

from services.datastore_agentless.datastores.base import succession
from services.datastore_agentless.datastores.base.topology import ASYNC, SYNC
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from shared.errors import Failure, Retryable

FORMER = Instance(id="f", cluster_id="c", name="shop-1", addr="10.0.0.1")


def replica(name: str, received: int, *, streams: bool = False, lag: float | None = 0.0) -> succession.Testimony:
    node = Instance(id=name, cluster_id="c", name=name, addr=f"addr-{name}")
    standing = Standing(writable=False, received=received, follows=FORMER.addr, streams=streams, lag_seconds=lag)
    return succession.Testimony(node, standing)


def silent(name: str) -> succession.Testimony:
    return succession.Testimony(Instance(id=name, cluster_id="c", name=name), trouble="it does not answer over SSH")


def test_whoever_has_received_most_is_the_heir() -> None:
    assert (
        succession.heir([replica("a", 5), replica("b", 7), replica("c", 6)], ASYNC, "", accept_loss=False).node.id
        == "b"
    )


def test_of_equals_the_first_by_name_is_chosen_whoever_asks() -> None:
    for order in ([replica("b", 7), replica("a", 7)], [replica("a", 7), replica("b", 7)]):
        assert succession.heir(order, ASYNC, "", accept_loss=False).node.id == "a"


def test_in_synchronous_mode_a_silent_replica_may_have_the_only_copy_of_a_write_so_that_nobody_is_promoted() -> None:
    with pytest.raises(Retryable, match=r"may be with b .* alone"):
        succession.heir([replica("a", 5), silent("b")], SYNC, "", accept_loss=False)
    assert succession.heir([replica("a", 5), silent("b")], SYNC, "", accept_loss=True).node.id == "a"
    assert succession.heir([replica("a", 5), silent("b")], ASYNC, "", accept_loss=False).node.id == "a"


def test_without_an_answer_from_anybody_nobody_is_promoted_whatever_the_user_accepts() -> None:
    with pytest.raises(Retryable, match="nobody can take over: a: it does not answer"):
        succession.heir([silent("a")], ASYNC, "", accept_loss=True)


def test_a_node_that_was_named_and_has_less_is_refused_unless_the_loss_is_accepted() -> None:
    both = [replica("a", 5), replica("b", 7)]
    with pytest.raises(Failure, match="a has received less than b"):
        succession.heir(both, ASYNC, "a", accept_loss=False)
    assert succession.heir(both, ASYNC, "a", accept_loss=True).node.id == "a"
    assert succession.heir(both, ASYNC, "b", accept_loss=False).node.id == "b"


def test_a_replica_that_receives_testifies_that_the_primary_lives() -> None:
    assert succession.alive(FORMER, [replica("a", 5, streams=True), silent("b")]) == "a still receives from shop-1"
    assert succession.alive(FORMER, [replica("a", 5), silent("b")]) == ""


def test_a_replica_of_somebody_else_testifies_to_nothing() -> None:
    other = succession.Testimony(FORMER, Standing(writable=False, follows="10.9.9.9", streams=True))
    assert succession.alive(FORMER, [other]) == ""


def test_a_switchover_goes_to_a_replica_that_receives_and_is_not_far_behind() -> None:
    slow, fresh, deaf = replica("a", 9, streams=True, lag=99.0), replica("b", 7, streams=True), replica("c", 9)
    assert succession.successor(FORMER, [slow, fresh, deaf], "").node.id == "b"
    with pytest.raises(Retryable, match="a is 99 s behind"):
        succession.successor(FORMER, [slow, fresh], "a")
    with pytest.raises(Retryable, match="c does not receive from shop-1"):
        succession.successor(FORMER, [deaf], "")


def test_a_primary_that_is_silent_or_frozen_hands_nothing_over() -> None:
    with pytest.raises(Retryable, match="f cannot hand over: it does not answer"):
        succession.well(silent("f"))
    with pytest.raises(Retryable, match="takes no writes"):
        succession.well(replica("a", 1))
    succession.well(succession.Testimony(FORMER, Standing(writable=True)))


def test_a_new_node_copies_from_whoever_follows_closely_and_has_most() -> None:
    others = [replica("a", 5, streams=True), replica("b", 7, streams=True), replica("c", 9), silent("d"),
              replica("e", 8, streams=True, lag=60.0)]  # fmt: skip
    assert [one.name for one in succession.followers(FORMER, others)] == ["b", "a"]

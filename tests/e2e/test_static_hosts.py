"""Databases on given hosts: leased, used, wiped, and leased again by somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import Pool, local_home, pool
from tests.support.clients import LoginRefused, Redis
from tests.support.installation import Installation

pytestmark = [pytest.mark.real, pytest.mark.slow]
__all__ = ["local_home", "pool"]


@pytest.fixture(scope="module")
def racked(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove over a pool of one host."""
    pool.write(pool.told() | {"hosts": pool.told()["hosts"][1:]})
    with Installation(
        tmp_path_factory.mktemp("racked"), DTROVE_PROVIDER="static", DTROVE_STATIC_HOSTS=str(pool.file)
    ) as made:
        yield made


def serve(racked: Installation, name: str) -> tuple[str, str]:
    """A cluster that answers; its id and its URL."""
    cluster, operation = racked.create(name, "redis 7.0", flavor="shelf")
    ended = racked.end_of(operation, 300)
    assert ended["status"] == "succeeded", ended["problem"]
    return cluster, racked.get(f"/v1/clusters/{cluster}/credentials")["url"]


def test_a_host_serves_one_tenant_after_the_other_and_nothing_of_the_first_is_left(
    racked: Installation, pool: Pool
) -> None:
    first, first_url = serve(racked, "first")
    client = Redis(first_url)
    assert client.ask("SET", "secret", "first's") == "OK"
    client.close()

    refused, operation = racked.create("too-many", "redis 7.0", flavor="shelf")
    problem = racked.end_of(operation)["problem"]
    assert "no host of flavor shelf is free" in problem["message"]
    assert problem["stderr"] == "shelf-2: leased"
    assert racked.end_of(racked.delete(refused))["status"] == "succeeded"

    assert racked.end_of(racked.delete(first), 300)["status"] == "succeeded"
    assert pool.on_host("shelf-2", "ls -d /var/lib/redis /var/lib/dtrove* 2>/dev/null; true") == "/var/lib/dtrove-data"

    second, second_url = serve(racked, "second")
    with pytest.raises(LoginRefused):
        Redis(second_url, password=first_url.split(":")[2].split("@")[0])
    client = Redis(second_url)
    # RESP2's word for nothing.
    assert client.ask("GET", "secret") == "$-1"
    client.close()
    assert racked.end_of(racked.delete(second), 300)["status"] == "succeeded"
